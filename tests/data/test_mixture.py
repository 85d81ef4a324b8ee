"""The schedule of a mixture: pure, fair, and of the length the recipe asks for."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.data.mixture import Mixture, shares, weights
from xstilts.errors import UserError


def recipe(**changes: Any) -> dict[str, Any]:
    length = {"batch_size": 4, "epochs": None, "steps": None}
    return {**length, "sampler": "proportional", "temperature": 1.0, "cap": None, **changes}


def planned(sizes: list[int], rates: list[float | None], given: dict[str, Any], seed: int) -> Mixture:
    """Of entries whose units are of all lengths."""
    lengths = [np.random.default_rng(size).integers(1, 99, size) for size in sizes]
    return Mixture.plan(lengths, rates, given, seed)


sizes = st.lists(st.integers(1, 50), min_size=1, max_size=4)


@given(
    *(sizes, st.integers(1, 9), st.integers(0, 2**31), st.sampled_from(["proportional", "temperature", "uniform"])),
    st.sampled_from([None, 2, 7]),
)
def test_a_step_is_a_pure_function_of_seed_and_step(
    sizes: list[int], batch: int, seed: int, sampler: str, bucket: int | None
) -> None:
    plan = recipe(batch_size=batch, steps=20, sampler=sampler, temperature=2.0, cap=10, bucket=bucket)
    first, second = (planned(sizes, [None] * len(sizes), plan, seed) for _ in range(2))
    straight = [first.batch(step) for step in range(20)]
    for step in [7, 19, 0, 7, 3]:
        entry, units = second.batch(step)
        assert entry == straight[step][0]
        assert np.array_equal(units, straight[step][1])
        assert second.noise(step).random() == first.noise(step).random()


@given(sizes, st.integers(1, 9), st.integers(0, 2**31))
def test_every_unit_once_an_epoch(sizes: list[int], batch: int, seed: int) -> None:
    mixture = planned(sizes, [None] * len(sizes), recipe(batch_size=batch, steps=40), seed)
    streams: dict[int, list[int]] = {entry: [] for entry in range(len(sizes))}
    for step in range(mixture.steps):
        entry, units = mixture.batch(step)
        assert len(units) == batch
        streams[entry] += units.tolist()
    for entry, stream in streams.items():
        for begin in range(0, len(stream) - sizes[entry] + 1, sizes[entry]):
            assert sorted(stream[begin : begin + sizes[entry]]) == list(range(sizes[entry]))


@given(sizes, st.integers(1, 9), st.integers(2, 12), st.integers(0, 2**31))
def test_buckets_exchange_units_of_neighbouring_steps_alone(
    sizes: list[int], batch: int, bucket: int, seed: int
) -> None:
    """As often as without; in no step twice; in a bucket batches that do not overlap in length, in random order."""
    usual, grouped = (
        planned(sizes, [None] * len(sizes), recipe(batch_size=batch, steps=60, bucket=b), seed) for b in (None, bucket)
    )
    assert np.array_equal(usual.turns, grouped.turns)
    for entry, items in enumerate(sizes):
        steps = np.flatnonzero(usual.turns == entry).tolist()
        before, after = ([mixture.batch(step)[1] for step in steps] for mixture in (usual, grouped))
        assert sorted(np.concatenate([*before, []])) == sorted(np.concatenate([*after, []]))
        assert [len(set(own)) for own in before] == [len(set(own)) for own in after]
        epochs = defaultdict(list)
        for draw in range(len(steps)):
            epochs[draw * batch // items, ((draw + 1) * batch - 1) // items].append(draw)
        for (first, last), draws in epochs.items():
            size = bucket if first == last else 1  # a batch over the end of an epoch stays as it is
            for mine in (draws[begin : begin + size] for begin in range(0, len(draws), size)):
                units = [after[draw] for draw in mine]
                assert sorted(np.concatenate(units)) == sorted(np.concatenate([before[draw] for draw in mine]))
                if len(mine) > 1:
                    spans = sorted(
                        (grouped.lengths[entry][own].min(), grouped.lengths[entry][own].max()) for own in units
                    )
                    assert all(high <= low for (_, high), (low, _) in pairwise(spans))


def test_a_small_set_in_buckets_is_seen_once_an_epoch_and_no_unit_meets_itself() -> None:
    """COPA's size: 50 steps are four of its epochs."""
    mixture = planned([400], [None], recipe(batch_size=32, epochs=5, bucket=50), 0)
    steps = [mixture.batch(step)[1].tolist() for step in range(mixture.steps)]
    times = Counter(unit for step in steps for unit in step)
    assert set(times.values()) <= {5, 6}
    over = {400 * epoch // 32 for epoch in range(1, 5) if 400 * epoch % 32}
    assert all(len(set(step)) == 32 for k, step in enumerate(steps) if k not in over)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=5), st.integers(1, 400), st.integers(0, 9))
def test_shares_are_exact_to_a_step(sizes: list[int], steps: int, seed: int) -> None:
    rates = [0.3, *[None] * (len(sizes) - 1)]
    mixture = planned(sizes, rates, recipe(steps=steps), seed)
    turns = Counter(mixture.turns.tolist())
    for entry, share in enumerate(shares(sizes, rates, recipe())):
        assert abs(turns[entry] - share * steps) <= 1


def test_samplers() -> None:
    assert weights([100, 300], recipe()).tolist() == [0.25, 0.75]
    assert weights([100, 300], recipe(sampler="uniform")).tolist() == [0.5, 0.5]
    assert weights([100, 400], recipe(sampler="temperature", temperature=2.0)).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert weights([100, 400], recipe(sampler="temperature", temperature=1.0, cap=100)).tolist() == [0.5, 0.5]
    assert shares([100, 300, 7], [None, None, 0.2], recipe()).tolist() == pytest.approx([0.2, 0.6, 0.2])


@pytest.mark.parametrize(
    ("epochs", "size", "batch", "steps"), [(1, 8, 4, 2), (3, 10, 4, 8), (0.5, 100, 10, 5), (2, 1, 4, 1)]
)
def test_steps_of_epochs(epochs: float, size: int, batch: int, steps: int) -> None:
    mixture = planned([size], [None], recipe(epochs=epochs, batch_size=batch), 0)
    assert mixture.steps == steps


def test_a_fixed_rate_comes_on_top_of_the_epochs_of_the_others() -> None:
    mixture = planned([80, 1000], [None, 0.2], recipe(epochs=1), 0)
    assert Counter(mixture.turns.tolist()) == {0: 20, 1: 5}
    assert mixture.epoch == 25


def test_another_seed_is_another_order() -> None:
    one, two = (planned([100], [None], recipe(epochs=1), seed) for seed in (0, 1))
    assert one.batch(0)[1].tolist() != two.batch(0)[1].tolist()
    assert one.batch(0)[1].tolist() != planned([100], [None], recipe(epochs=2), 0).batch(25)[1].tolist()


@pytest.mark.parametrize(
    ("rates", "changes", "message"),
    [
        ([None, None], {"steps": 5, "sampler": "proportionl"}, "did you mean 'proportional'"),
        ([1.0, None], {"steps": 5}, "leaves nothing for the others"),
        ([0.5, 0.2], {"steps": 5}, "must sum to 1"),
        ([None, None], {}, "either epochs or steps"),
        ([None, None], {"steps": 5, "epochs": 1}, "either epochs or steps"),
    ],
)
def test_what_cannot_work_is_refused(rates: list[float | None], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned([5, 5], rates, recipe(**changes), 0)
