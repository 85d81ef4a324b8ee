"""Features of a whole part as flat arrays, and the batches cut from them.

The words used here and in `xstilts.formats`:

- an *item* is a row of the library: one premise and hypothesis, one question, one sentence;
- a *unit* is what a training step counts and shuffles: an item, or one window of a long item;
- a *sequence* is what the encoder reads: one a unit for most formats, one a choice, two for a pair of texts;
- a *token* is a sub-word with its special tokens, and nothing is padded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

Align = Literal["unit", "sequence", "token"]


@dataclass
class Features:
    """Model inputs of a part. U units, S sequences, T tokens in all."""

    tokens: np.ndarray  # int32 [T], ids with special tokens
    starts: np.ndarray  # int64 [S+1], sequence s is tokens[starts[s]:starts[s+1]]
    units: np.ndarray  # int64 [U+1], unit u has the sequences units[u]:units[u+1]
    item: np.ndarray  # int64 [U], the row of the table a unit was cut from
    fields: dict[str, tuple[Align, np.ndarray]] = field(default_factory=dict)  # first axis U, S or T by alignment
    cut: int = 0  # sub-words of the text that fit nowhere and are lost

    def __len__(self) -> int:
        return len(self.units) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a unit, int64 [U]."""
        return np.diff(self.starts[self.units])


@dataclass
class Batch:
    """Some units of a part, on a device. Same words as `Features`; positions inside are the batch's own."""

    tokens: torch.Tensor  # int64 [T]
    starts: torch.Tensor  # int64 [S+1]
    units: torch.Tensor  # int64 [U+1]
    fields: dict[str, torch.Tensor]
    index: np.ndarray  # int64 [U], which units of the features these are, in this order
    lengths: np.ndarray  # int64 [S], tokens of the sequences, known without asking the device

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        tokens, starts, units = (sent(values, device) for values in (self.tokens, self.starts, self.units))
        fields = {name: sent(values, device) for name, values in self.fields.items()}
        return replace(self, tokens=tokens, starts=starts, units=units, fields=fields)


def sent(values: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """On a device. To a GPU from pinned memory: a copy from any other may wait for all that the GPU has to do."""
    if torch.device(device).type != "cuda":
        return values.to(device)
    return (values if values.is_cuda else values.pin_memory()).to(device, non_blocking=True)


def _spans(starts: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the spans starts[i]:starts[i+1] of `index`, laid end to end: every position [N], and the new starts [I+1]."""
    sizes = starts[index + 1] - starts[index]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    positions = np.arange(offsets[-1], dtype=np.int64) + np.repeat(starts[index] - offsets[:-1], sizes)
    return positions, offsets


def _tensor(values: np.ndarray) -> torch.Tensor:
    """Whole numbers become int64, which torch indexes with; everything else keeps its type."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64 if values.dtype.kind in "iu" else None))


def rows(features: Features, index: np.ndarray) -> dict[str, np.ndarray]:
    """Where the units of `index` and their sequences and tokens are in a part, in order: int64 positions each."""
    sequences, _ = _spans(features.units, index)
    tokens, _ = _spans(features.starts, sequences)
    return {"unit": index, "sequence": sequences, "token": tokens}


def gather(features: Features, index: np.ndarray, device: torch.device | str = "cpu") -> Batch:
    """The units of `index` (int64 [U]), in that order, with everything that is aligned to them.

    A unit may come twice. Fields hold whatever a format put there: positions inside must be relative to the unit or
    the sequence they are of, since nothing is renumbered here.
    """
    sequences, units = _spans(features.units, index)
    tokens, starts = _spans(features.starts, sequences)
    where = {"unit": index, "sequence": sequences, "token": tokens}
    return Batch(
        tokens=_tensor(features.tokens[tokens]),
        starts=_tensor(starts),
        units=_tensor(units),
        fields={name: _tensor(values[where[align]]) for name, (align, values) in features.fields.items()},
        index=index,
        lengths=np.diff(starts),
    ).to(device)


def micro_batches(features: Features, index: np.ndarray, budget: int) -> list[np.ndarray]:
    """Cut the units of `index` into groups of similar length, the longest first (out of memory then shows at once).

    There are as many groups as `budget` tokens a group ask for, all of about the same size: none is larger than the
    mean by a whole unit or more. Equal lengths keep their order, so the cut is a pure function of its arguments.
    """
    sequences, bounds = _spans(features.units, index)
    sizes = features.starts[sequences + 1] - features.starts[sequences]
    if not len(index):
        return []
    order = np.argsort(-np.maximum.reduceat(sizes, bounds[:-1]), kind="stable")
    tokens = np.add.reduceat(sizes, bounds[:-1])[order]
    ended = np.cumsum(tokens)
    total = int(ended[-1])
    groups = -(-total // budget)
    # A unit belongs to the group that its middle falls into.
    group = np.minimum((2 * ended - tokens) * groups // (2 * total), groups - 1)
    return [index[part] for part in np.split(order, np.flatnonzero(np.diff(group)) + 1)]


def in_length_order(features: Features, budget: int) -> list[np.ndarray]:
    """Every unit of a part, as inference reads it: similar lengths together, about a budget of tokens at once."""
    return micro_batches(features, np.arange(len(features)), budget)
