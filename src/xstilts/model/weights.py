"""Weights in safetensors files, and nothing else: no file we read can run code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from xstilts.errors import DataError


@dataclass(frozen=True)
class Rows:
    """Which rows of every tensor a rank holds: part `rank` of `size`, cut as torch's `chunk` cuts; all by default."""

    rank: int = 0
    size: int = 1

    def of(self, rows: int) -> slice:
        """Of a tensor with so many; none where there are too few for all ranks."""
        each = -(-rows // self.size)
        return slice(min(rows, self.rank * each), min(rows, (self.rank + 1) * each))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file, read tensor by tensor; `DataError` when it is not there, cut short or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DataError(path, f"cannot be read as safetensors ({error}); restore it") from None


def read(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a file."""
    with opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)


def rows(paths: Sequence[Path], wanted: Rows) -> Iterator[tuple[str, torch.Tensor]]:
    """The wanted rows of every tensor, of which each file has some, in their order; a scalar is in every file."""
    with ExitStack() as stack:
        parts = [stack.enter_context(opened(path)) for path in paths]
        for name in parts[0].keys():  # noqa: SIM118
            if not parts[0].get_slice(name).get_shape():
                yield name, parts[0].get_tensor(name)
                continue
            slices = [part.get_slice(name) for part in parts]
            ends = list(accumulate(part.get_shape()[0] for part in slices))
            span = wanted.of(ends[-1])
            found = [
                part[max(span.start, begin) - begin : min(span.stop, end) - begin]
                for part, begin, end in zip(slices, [0, *ends], ends, strict=False)
                if max(span.start, begin) < min(span.stop, end)
            ]
            yield name, torch.cat(found) if found else slices[0][:0]


@torch.no_grad()
def fill(module: nn.Module, path: Path, prefix: str = "") -> None:
    """Copy a file into all weights of a module, whether or not its names begin with `prefix`.

    Raises `DataError` naming weights that the file lacks, or has in another shape; nothing is copied then.
    """
    own = module.state_dict()
    with opened(path) as file:
        stored = {name.removeprefix(prefix): name for name in file.keys()}  # noqa: SIM118
        missing = [name for name in own if name not in stored]
        if missing:
            raise DataError(path, f"lacks {len(missing)} of the model's {len(own)} weights, such as {_some(missing)}")
        shapes = {name: file.get_slice(stored[name]).get_shape() for name in own}
        wrong = [
            f"{name} {shapes[name]} where the model has {list(weight.shape)}"
            for name, weight in own.items()
            if shapes[name] != list(weight.shape)
        ]
        if wrong:
            raise DataError(
                path, f"does not fit the model's config: {_some(wrong)} (an embedding's first size is the vocabulary)"
            )
        for name, weight in own.items():
            weight.copy_(file.get_tensor(stored[name]))


def rest(module: nn.Module, path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """What a file has beside the weights of a module."""
    own = module.state_dict()
    with opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.removeprefix(prefix) not in own}  # noqa: SIM118


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
