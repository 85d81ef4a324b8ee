"""Features of a whole part as flat arrays, and the batches cut from them.

The words used here and in `xstilts.formats`:

- an *item* is a row of the library: one premise and hypothesis, one question, one sentence;
- a *unit* is what a training step counts and shuffles: an item, or one window of a long item;
- a *sequence* is what the encoder reads: one a unit for most formats, one a choice, two for a pair of texts;
- a *token* is a sub-word with its special tokens, and nothing is padded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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

    def __len__(self) -> int:
        return len(self.index)
