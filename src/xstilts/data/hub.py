"""World `hub`: data and weights from the Hugging Face hub, fetched once on a connected machine with `do=fetch`.

Files are downloaded at a pinned commit and read as what they are, Parquet or JSON: no script of a data set is ever run.
Where a YAML pins no commit (`revision` a branch), the commit that was found is recorded in the library's manifest. The
result is the same, byte for byte, as that of world `files`.

`world.mirror` is a folder laid out like the hub, read instead of it: `datasets/OWNER/NAME/...` and `OWNER/NAME/...`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts.data import parts
from xstilts.data.library import Library
from xstilts.data.parts import World
from xstilts.data.pretrained import CONFIG, KINDS, TOKENIZER, take_tokenizer, take_weights
from xstilts.errors import UserError
from xstilts.files import read_json
from xstilts.task import Task

CONVERTED = "refs/convert/parquet"  # the hub's own conversion of every data set, CONFIG/SPLIT/0000.parquet


def fill(world: World, tasks: Iterable[Task], library: Library) -> None:
    """Fetch tasks into the library, one after the other; raises as `xstilts.data.parts.fill` does, and `UserError`
    when the hub cannot be reached or does not have the files."""
    for task in tasks:
        described = source(world, task)
        wanted = sorted({pattern for part in task.parts for pattern in parts.patterns(task, "hub", part)[0]})
        root, commit = _snapshot(world, "dataset", described["id"], described["revision"], wanted)
        parts.fill(root, "hub", world, task, library, {**described, "commit": commit})


def source(world: World, task: Task) -> dict[str, Any]:
    """What a task is fetched from, as its YAML says it; asks no network."""
    if "hub" not in task.source:
        raise UserError(f"{task.name} is not on the hub: {task.notes or 'use world=files'}")
    section = task.source["hub"]
    definition = parts.definition(world, task, "hub")
    return {"definition": definition, "id": section["id"], "revision": section.get("revision") or CONVERTED}


def model_source(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is fetched from, as its YAML says it."""
    if not model["hub"].get("id"):
        raise UserError(f"model={model['name']} is not on the hub: its YAML has no hub.id")
    weights = not (model["random"] or model["pretrain"])
    return {"id": model["hub"]["id"], "revision": model["hub"].get("revision") or "main", "weights": weights}


def fill_model(world: World, model: Mapping[str, Any], library: Library) -> None:
    """Fetch a model: its tokenizer, and its weights unless it starts from random ones."""
    described = model_source(model)
    name, revision = described["id"], described["revision"]
    root, commit = _snapshot(world, "model", name, revision, [*TOKENIZER, CONFIG])
    with library.write_model(model["name"], {**described, "commit": commit}, world["name"]) as place:
        take_tokenizer(root, place, model)
        if described["weights"]:
            for kind in KINDS:  # the first that is there
                root, _ = _snapshot(world, "model", name, commit or revision, [CONFIG, kind])
                if (root / kind).is_file():
                    pieces = sorted(set(read_json(root / kind)["weight_map"].values())) if kind.endswith("json") else []
                    root, _ = _snapshot(world, "model", name, commit or revision, [CONFIG, kind, *pieces])
                    break
            take_weights(root, place)


def _snapshot(world: World, kind: str, name: str, revision: str, wanted: Sequence[str]) -> tuple[Path, str | None]:
    """A folder with the wanted files of a repository, and its commit (None of a mirror)."""
    if world.get("mirror"):
        root = Path(world["mirror"]) / ("datasets" if kind == "dataset" else "") / name
        if not root.is_dir():
            raise UserError(f"world.mirror has no {name}; looked for {root}")
        return root, None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    hub = HfApi()
    try:
        commit = hub.repo_info(name, repo_type=kind, revision=revision).sha
        folder = hub.snapshot_download(name, repo_type=kind, revision=commit, allow_patterns=list(wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"cannot fetch {kind} {name} at {revision} from {hub.endpoint}: {reason}\n"
            "do=fetch needs a connected machine; HF_ENDPOINT names another hub, world.mirror=FOLDER a copy of one"
        ) from None
    return Path(folder), commit
