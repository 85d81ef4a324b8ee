"""Training only the embeddings that can learn: the rows of sub-words that occur in the data.

A row that never has a gradient has no moments either, and AdamW does nothing to it but decay. So those rows are left
out of what is trained, and come back at the end as they were, times what the decay of all updates leaves of a weight.
With XLM-R's 250,002 rows, of which English data has some ten thousands, most of a table's gradient, norm, clipping and
update is work on zeros. The gradient and its norm are the whole table's.

Not for a format that predicts sub-words with the table itself, and not for an optimiser that moves a weight without a
gradient by more than a factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from xstilts.data.batches import Features
from xstilts.model.encoder import Encoder

if TYPE_CHECKING:
    from xstilts.formats.base import Format

#: Share of the rows up to which a smaller table pays: an update costs what its rows cost, and cutting the table and
#: putting it together costs about one update (benchmarks/RESULTS.md has what was measured).
SHARE = 0.9


def used(encoder: Encoder, features: Iterable[Features]) -> torch.Tensor:
    """The ids that occur in some features, and the padding's: int64 [K], rising."""
    occurs = np.zeros(encoder.vocabulary, bool)
    occurs[encoder.config.pad_token_id] = True
    for part in features:
        occurs[part.tokens] = True
    return torch.from_numpy(np.flatnonzero(occurs))


class Table:
    """An encoder's embedding table, of which only the rows of `ids` are trained from now on."""

    def __init__(self, encoder: Encoder, ids: torch.Tensor) -> None:
        self.name = next(n for n, p in encoder.model.named_parameters() if p is encoder.embeddings.weight)
        self.ids = ids
        self.before = encoder.keep_rows(ids)  # [V, H], on the CPU as everything is when it is built

    def __len__(self) -> int:
        return len(self.ids)

    def whole(self, rows: torch.Tensor, left: float) -> torch.Tensor:
        """The table [V, H] with these rows [K, H]; of the others, `left` (1: no decay) is left."""
        table = self.before * left
        table[self.ids] = rows.to(table)
        return table


def cut(encoder: Encoder, formats: Sequence[Format], features: Iterable[Features], wanted: str) -> Table | None:
    """Leave only used rows in an encoder's table where that is possible and pays; None where it stays whole.

    `wanted` is `numerics.embeddings`: `auto`, or `used` and `whole` for those who want to compare.
    """
    if wanted == "whole" or any(form.whole_vocabulary for form in formats):
        return None
    ids = used(encoder, features)
    if wanted == "auto" and len(ids) > SHARE * encoder.vocabulary:
        return None
    return Table(encoder, ids)
