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


def passes(
    form: Format, features: Features, units: np.ndarray, budget: int, group: Group, even: bool
) -> list[tuple[np.ndarray, bool]]:
    """This rank's micro-batches, and whether each counts.

    `even` makes them equally many on all ranks: who has one less than others reads a unit once more, not counted. It is
    one of the shortest, of this step, so that what is not finite there is not finite anyway.
    """
    own = [(cut, True) for cut in cuts(form, features, units, budget, group)]
    if not even or form.whole_batch:
        return own
    first = Group(0, group.size)  # who has most
    most = cuts(form, features, units, budget, first)
    return own + [(most[-1][-1:], False)] * (len(most) - len(own))


def order(units: np.ndarray, group: Group) -> np.ndarray:
    """The units of a whole batch, rank by rank."""
    return np.concatenate([units[rank :: group.size] for rank in range(group.size)])


def together(form: Format, own: Batch, hidden: torch.Tensor, whole: Batch, group: Group) -> torch.Tensor:
    """States [T, H] of a whole batch (in `order`), from every rank's own, `hidden` being this one's.

    Every rank can then compute the loss of the whole batch, and its gradient for what it has read itself: together that
    is the gradient of one process. Loss and the head's gradient are whole on every rank, so each may only take its
    share of them, a `size`th; the gradient of the states, which no other rank has, is made whole again here.
    """
    units = len(whole)
    before = sum(len(range(rank, units, group.size)) for rank in range(group.rank))
    sequence = int(whole.units[before])
    if form.reads_firsts:
        firsts = group.join(hidden.index_select(0, own.starts[:-1]), sequence, len(whole.starts) - 1)
        states = firsts.new_full((len(whole.tokens), hidden.shape[1]), torch.nan)
        states = states.index_copy(0, whole.starts[:-1], firsts)
    else:
        states = group.join(hidden, int(whole.starts[sequence]), len(whole.tokens))
    states.register_hook(lambda gradient: gradient * group.size)
    return states
