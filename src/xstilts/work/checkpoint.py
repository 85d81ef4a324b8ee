"""What a training leaves: its checkpoint, and on the way there the state it resumes from. Safetensors and JSON only.

checkpoint/   model.safetensors   the encoder, in Hugging Face's own names
              heads.safetensors   ENTRY/NAME
              checkpoint.json     which step it is of, how it was selected, what its heads are
resume/       the weights of the step it was saved at, optimizer.safetensors (MOMENT/PARAMETER), state.json,
              metrics.jsonl up to there, and best/ with the weights selected so far, where the recipe selects
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from xstilts import files
from xstilts.errors import DataError
from xstilts.model import weights
from xstilts.model.encoder import Encoder

Tensors = dict[str, torch.Tensor]


@dataclass
class Weights:
    """Of the encoder, by Hugging Face's names, and of the heads, by `entry/name`."""

    encoder: Tensors
    heads: Tensors

    def copy(self) -> Weights:
        """A copy in main memory."""
        return Weights(_copy(self.encoder), _copy(self.heads))

    def save(self, folder: Path) -> None:
        _save(self.encoder, folder / "model.safetensors")
        _save(self.heads, folder / "heads.safetensors")

    @classmethod
    def read(cls, folder: Path) -> Weights:
        return cls(weights.read(folder / "model.safetensors"), weights.read(folder / "heads.safetensors"))


class Trained(nn.Module):
    """An encoder and the heads on it, as one module."""

    def __init__(self, encoder: Encoder, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)

    def weights(self) -> Weights:
        """Shared with the module, not copied."""
        heads = {f"{entry}/{name}": w for entry, head in self.heads.items() for name, w in head.state_dict().items()}
        return Weights(self.encoder.model.state_dict(), heads)

    def load(self, folder: Path) -> None:
        """Fill everything from a folder that `Weights.save` wrote."""
        self.encoder.load(folder / "model.safetensors")
        for entry, head in self.heads.items():
            load_head(head, entry, folder)


def load_head(head: nn.Module, entry: str, folder: Path) -> None:
    """Fill a head from a checkpoint; `DataError` when it has none of that name or shape."""
    weights.fill(head, folder / "heads.safetensors", f"{entry}/")


def save(path: Path, kept: Weights, facts: Mapping[str, Any]) -> None:
    """A checkpoint folder at `path`, whole or not at all."""
    with files.folder(path) as folder:
        kept.save(folder)
        files.write_json(folder / "checkpoint.json", facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """`checkpoint.json` of a checkpoint folder."""
    return _read_json(folder / "checkpoint.json")


def save_state(
    path: Path,
    trained: Trained,
    optimizer: torch.optim.Optimizer,
    best: Weights | None,
    state: Mapping[str, Any],
    metrics: Path,
) -> None:
    """Everything a training needs to go on as if nothing had happened, in a folder at `path`, whole or not at all."""
    with files.folder(path) as folder:
        trained.weights().save(folder)
        _save(_moments(trained, optimizer), folder / "optimizer.safetensors")
        if best is not None:
            (folder / "best").mkdir()
            best.save(folder / "best")
        shutil.copyfile(metrics, folder / "metrics.jsonl")
        files.write_json(folder / "state.json", state)


def read_state(folder: Path) -> dict[str, Any]:
    """The `state` that `save_state` was given."""
    return _read_json(folder / "state.json")


def load_state(folder: Path, trained: Trained, optimizer: torch.optim.Optimizer) -> Weights | None:
    """The rest of what `save_state` was given: fills model and optimiser, returns the best weights.

    Raises `DataError` when a file of it cannot be read.
    """
    trained.load(folder)
    parameters = dict(trained.named_parameters())
    for key, value in weights.read(folder / "optimizer.safetensors").items():
        moment, name = key.split("/", 1)
        optimizer.state[parameters[name]][moment] = value.to(parameters[name].device)
    return Weights.read(folder / "best") if (folder / "best").is_dir() else None


def _moments(trained: Trained, optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimiser's state by `moment/parameter`; parameters that had no gradient yet have none."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in trained.named_parameters()}
    return {
        f"{moment}/{names[parameter]}": value
        for parameter, moments in optimizer.state.items()
        for moment, value in moments.items()
    }


def _copy(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _save(tensors: Tensors, path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return files.read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}); restore it") from None
