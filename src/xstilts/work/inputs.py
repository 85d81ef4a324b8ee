"""What a frozen stage names, fetched from the library and refused when it is no longer what was named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xstilts.data import kept
from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.formats.base import Limits
from xstilts.model import tokenizer as tokenizers
from xstilts.model.encoder import Encoder
from xstilts.stage import Stage
from xstilts.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

#: Of the random weights of a model that has none: as with pretrained weights, all runs start from the same ones.
RANDOM_WEIGHTS_SEED = 0


def part(library: Library, task: str, name: str, sha256: str) -> pa.Table:
    """All rows of a part, whose content must be the one with that hash."""
    check(library, task, name, sha256)
    return library.read(task, name)


def check(library: Library, task: str, name: str, sha256: str) -> None:
    """Raises `UserError` when a part is not there, or its content is not the one with that hash."""
    manifest = library.manifest(task)
    if manifest is None or name not in manifest["files"]:
        raise UserError(f"the library {library.root} has no part {name} of {task}; `do=fetch` fills it")
    if manifest["files"][name]["sha256"] != sha256:
        raise UserError(
            f"{task} {name} in {library.root} was filled anew since this stage was planned; "
            "run the same command again, which plans it with the data of now"
        )


def features(
    library: Library, stage: Stage, task: Task, parts: Sequence[str], limits: Limits, make: Callable[[], Features]
) -> Features:
    """What `make` gives for parts with these hashes, or for what else is said of them; from the library where it is."""
    identity = {
        "task": task.identity(),
        "parts": list(parts),
        "tokenizer": stage.spec["model"]["tokenizer"],
        "limits": asdict(limits),
    }
    return kept.features(library.root, identity, make)


def limits(values: Mapping[str, Any]) -> Limits:
    """Of a recipe, or of an evaluation's own section."""
    return Limits(values["max_length"], values["stride"], values["max_query_length"])


def tokenizer(library: Library, stage: Stage) -> PreTrainedTokenizerBase:
    """The model's, which must be the one the stage was planned with."""
    name = stage.place["model"]
    manifest = library.model_manifest(name)
    if manifest is None:
        raise UserError(f"the library {library.root} has no model {name}; `do=fetch` fills it")
    for file in ("tokenizer", "weights"):
        if manifest[file] != stage.spec["model"][file]:
            raise UserError(
                f"the {file} of {name} in {library.root} changed since this stage was planned; "
                "run the same command again"
            )
    return _tokenizer(library.model_folder(name), manifest["tokenizer"])


@lru_cache(maxsize=4)  # XLM-R's takes seconds to load, and a process does many stages
def _tokenizer(folder: Path, digest: str) -> PreTrainedTokenizerBase:
    return tokenizers.load(folder)


def encoder(library: Library, stage: Stage, checkpoint: Path | None, dropout: float | None = None) -> Encoder:
    """The encoder of a checkpoint folder, or the pretrained one when there is none.

    Draws the random weights of a model without pretrained ones from torch's global generator, which it seeds.
    """
    model = stage.spec["model"]
    pretrained = library.model_folder(stage.place["model"]) / "model.safetensors" if model["weights"] else None
    torch.manual_seed(RANDOM_WEIGHTS_SEED)
    built = Encoder(model["architecture"], model["config"], dropout, empty=bool(checkpoint or pretrained))
    if checkpoint is not None:
        built.load(checkpoint / "model.safetensors")
    elif pretrained is not None:
        built.load(pretrained)
    if pretrained is not None:
        built.load_rest(pretrained)
    return built
