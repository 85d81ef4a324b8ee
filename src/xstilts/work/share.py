"""A rank's share of a step: which units it reads, and what a loss over the whole step needs of the others."""

from __future__ import annotations

import numpy as np
import torch

from xstilts.data.batches import Batch, Features, micro_batches
from xstilts.formats.base import Format
from xstilts.model.parallel import Group


def cuts(form: Format, features: Features, units: np.ndarray, budget: int, group: Group) -> list[np.ndarray]:
    """The micro-batches that this rank reads of a step's units, all ranks the same number of tokens, about.

    None where the step has fewer than there are ranks. A format that needs whole batches gets its share in one.
    """
    if form.whole_batch:
        return [units[group.rank :: group.size]]
    if group.size > 1:
        tokens = int((features.starts[features.units[units + 1]] - features.starts[features.units[units]]).sum())
        rounds = -(-tokens // (budget * group.size))
        budget = -(-tokens // (rounds * group.size))
    return micro_batches(features, units, budget)[group.rank :: group.size]


def order(units: np.ndarray, group: Group) -> np.ndarray:
    """The units of a whole batch, rank by rank."""
    return np.concatenate([units[rank :: group.size] for rank in range(group.size)])


def together(form: Format, own: Batch, hidden: torch.Tensor, whole: Batch, group: Group) -> torch.Tensor:
    """States [T, H] of a whole batch (in `order`), from every rank's own, `hidden` being this one's.

    Every rank can then compute the loss of the whole batch, and its gradient for what it has read itself: together that
    is the gradient of one process. The gradient for the head is whole on every rank, so it must count once.
    """
    units = len(whole)
    before = sum(len(range(rank, units, group.size)) for rank in range(group.rank))
    sequence = int(whole.units[before])
    if not form.reads_firsts:
        return group.join(hidden, int(whole.starts[sequence]), len(whole.tokens))
    firsts = group.join(hidden.index_select(0, own.starts[:-1]), sequence, len(whole.starts) - 1)
    return firsts.new_full((len(whole.tokens), hidden.shape[1]), torch.nan).index_copy(0, whole.starts[:-1], firsts)
