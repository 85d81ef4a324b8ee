"""World `hub`: data and weights from the Hugging Face hub, fetched once on a connected machine with `do=fetch`.

Files are downloaded at a pinned commit and read as what they are, Parquet or JSON: no script of a data set is ever run.
Where a YAML pins no commit (`revision` a branch), the commit that was found is recorded in the library's manifest. The
result is the same, byte for byte, as that of world `files`. A data set that only its authors' repository holds whole
comes from there (`github` in the place of `id`); one that nobody gives away is read below `world.root`, where that is
given.

`world.mirror` is a folder laid out like the hub, read instead of it: `datasets/OWNER/NAME/...` and `OWNER/NAME/...`,
and for GitHub `github/OWNER/NAME/...`.
"""

from __future__ import annotations

import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from xstilts.data import files, parts
from xstilts.data.library import Library
from xstilts.data.parts import World
from xstilts.data.pretrained import CONFIG, KINDS, TOKENIZER, take_tokenizer, take_weights
from xstilts.errors import UserError
from xstilts.files import read_json
from xstilts.task import Task

CONVERTED = "refs/convert/parquet"  # the hub's own conversion of every data set, CONFIG/SPLIT/0000.parquet
GITHUB = "https://raw.githubusercontent.com"
CONNECTED = "do=fetch needs a connected machine; HF_ENDPOINT names another hub, world.mirror=FOLDER a copy of one"


def fill(world: World, tasks: Iterable[Task], library: Library) -> None:
    """Fetch tasks into the library, one after the other; raises as `xstilts.data.parts.fill` does, and `UserError`
    when the hub cannot be reached or does not have the files."""
    for task in tasks:
        described = source(world, task)
        if elsewhere(world, task):
            files.fill(world, [task], library)
            continue
        wanted = sorted({pattern for part in task.parts for pattern in parts.patterns(task, "hub", part)[0]})
        with _dataset(world, described, wanted) as (root, commit):
            parts.fill(root, "hub", world, task, library, {**described, "commit": commit})


def elsewhere(world: World, task: Task) -> bool:
    """Whether a task comes from files although the world is the hub: it is the user's own, or nowhere else."""
    return files.own(world, task) is not None or ("hub" not in task.source and bool(world.get("root")))


def nowhere(task: Task) -> str:
    """Why a task cannot be fetched, and how to get it all the same."""
    why = task.notes.partition(". ")[0].rstrip(".") or "its YAML has no source.hub"
    how = "; with its files at hand, world.root=FOLDER says where they lie" if "files" in task.source else ""
    return f"{task.name} is not on the hub: {why}{how}"


def source(world: World, task: Task) -> dict[str, Any]:
    """What a task is fetched from, as its YAML says it; asks no network."""
    if elsewhere(world, task):
        return files.source(world, task)
    if "hub" not in task.source:
        raise UserError(nowhere(task))
    section = task.source["hub"]
    definition = parts.definition(world, task, "hub")
    if "github" in section:
        return {"definition": definition, "github": section["github"], "revision": section["revision"]}
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


@contextmanager
def _dataset(world: World, described: Mapping[str, Any], wanted: Sequence[str]) -> Iterator[tuple[Path, str | None]]:
    """A folder with the wanted files of a data set, and its commit (None of a mirror)."""
    if "github" not in described:
        yield _snapshot(world, "dataset", described["id"], described["revision"], wanted)
        return
    name, revision = described["github"], described["revision"]
    if world.get("mirror"):
        yield _mirrored(world, f"github/{name}"), None
        return
    with tempfile.TemporaryDirectory() as place:
        for path in wanted:
            _download(f"{GITHUB}/{name}/{revision}/{quote(path)}", Path(place) / path)
        yield Path(place), revision


def _download(url: str, path: Path) -> None:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        raise UserError(f"cannot fetch {url}: HF_HUB_OFFLINE is set\n{CONNECTED}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            path.write_bytes(answer.read())
    except OSError as error:
        raise UserError(f"cannot fetch {url}: {error}\n{CONNECTED}") from None


def _mirrored(world: World, name: str) -> Path:
    root = Path(world["mirror"]) / name
    if not root.is_dir():
        raise UserError(f"world.mirror has no {name}; looked for {root}")
    return root


def _snapshot(world: World, kind: str, name: str, revision: str, wanted: Sequence[str]) -> tuple[Path, str | None]:
    """A folder with the wanted files of a repository of the hub, and its commit (None of a mirror)."""
    if world.get("mirror"):
        return _mirrored(world, f"datasets/{name}" if kind == "dataset" else name), None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    hub = HfApi()
    try:
        commit = hub.repo_info(name, repo_type=kind, revision=revision).sha
        folder = hub.snapshot_download(name, repo_type=kind, revision=commit, allow_patterns=list(wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"cannot fetch {kind} {name} at {revision} from {hub.endpoint}: {reason}\n{CONNECTED}"
        ) from None
    return Path(folder), commit
