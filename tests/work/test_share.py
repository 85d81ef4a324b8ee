"""Shares of a step: every unit on one rank, about as much for each."""

from __future__ import annotations

import numpy as np
import pytest

from xstilts import formats
from xstilts.data.batches import Features, micro_batches
from xstilts.model.parallel import Group
from xstilts.work import share

TOPIC, PAIRS = formats.get("classification"), formats.get("dual_encoder")


@pytest.fixture
def features() -> Features:
    lengths = np.random.default_rng(0).integers(5, 60, 200)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Features(np.zeros(starts[-1], np.int32), starts, np.arange(201), np.arange(200))


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("budget", [100, 700, 10**6])
@pytest.mark.parametrize("form", [TOPIC, PAIRS])
def test_every_unit_is_read_once(features: Features, size: int, budget: int, form: formats.base.Format) -> None:
    units = np.random.default_rng(1).permutation(200)[:64]
    ranks = [share.cuts(form, features, units, budget, Group(rank, size)) for rank in range(size)]
    assert sorted(np.concatenate([cut for cuts in ranks for cut in cuts])) == sorted(units)
    tokens = [sum(int(features.lengths[cut].sum()) for cut in cuts) for cuts in ranks]
    assert max(tokens) - min(tokens) <= max(60 * len(ranks[0]), sum(tokens) // 3)
    if form is PAIRS:
        assert [len(cuts) for cuts in ranks] == [1] * size
        assert np.array_equal(share.order(units, Group(0, size)), np.concatenate([cuts[0] for cuts in ranks]))
    else:
        assert all(features.lengths[cut].sum() <= budget + 60 for cuts in ranks for cut in cuts)
        assert max(map(len, ranks)) - min(map(len, ranks)) <= 1


def test_fewer_units_than_ranks(features: Features) -> None:
    ranks = [share.cuts(TOPIC, features, np.array([5, 9]), 10**6, Group(rank, 4)) for rank in range(4)]
    assert sorted(int(unit) for cuts in ranks for cut in cuts for unit in cut) == [5, 9]


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("budget", [100, 700, 10**6])
def test_even_passes_read_what_counts_once(features: Features, size: int, budget: int) -> None:
    for count in (1, 5, 64):
        units = np.random.default_rng(count).permutation(200)[:count]
        ranks = [share.passes(TOPIC, features, units, budget, Group(rank, size), even=True) for rank in range(size)]
        assert len({len(passes) for passes in ranks}) == 1
        for rank, passes in enumerate(ranks):
            cuts = share.cuts(TOPIC, features, units, budget, Group(rank, size))
            assert all(map(np.array_equal, cuts, [cut for cut, counts in passes if counts]))
            rest = [cut for cut, counts in passes[len(cuts) :]]
            assert all(len(cut) == 1 and cut[0] in units for cut in rest)


def test_one_process_cuts_as_ever(features: Features) -> None:
    units = np.arange(40)
    alone = share.cuts(TOPIC, features, units, 300, Group())
    assert all(map(np.array_equal, alone, micro_batches(features, units, 300)))
    assert np.array_equal(share.cuts(PAIRS, features, units, 300, Group())[0], units)
