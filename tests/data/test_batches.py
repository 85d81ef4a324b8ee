"""Batches are what was asked for, and cuts keep everything within the budget."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xstilts.data.batches import Features, gather, in_length_order, micro_batches, rows

shapes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=12)  # tokens, sequences


def features(shape: list[list[int]]) -> Features:
    """Units of sequences of so many tokens; every token, sequence and unit carries its own number."""
    lengths = [length for unit in shape for length in unit]
    starts = np.cumsum([0, *lengths])
    units = np.cumsum([0, *map(len, shape)])
    return Features(
        tokens=np.arange(starts[-1], dtype=np.int32),
        starts=starts,
        units=units,
        item=np.arange(len(shape)),
        fields={
            "unit": ("unit", np.arange(len(shape), dtype=np.int32)),
            "sequence": ("sequence", np.arange(len(lengths)) / 2),
            "token": ("token", np.arange(2 * starts[-1]).reshape(-1, 2)),
        },
    )


def same(a: torch.Tensor, b: np.ndarray) -> bool:
    return np.array_equal(a.numpy(), b)


@given(shapes, st.data())
def test_gather_takes_the_units_in_order(shape: list[list[int]], data: st.DataObject) -> None:
    part = features(shape)
    index = np.array(data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1)), dtype=np.int64)
    batch = gather(part, index)
    sequences = [s for u in index for s in range(part.units[u], part.units[u + 1])]
    tokens = [t for s in sequences for t in range(part.starts[s], part.starts[s + 1])]
    assert same(batch.tokens, part.tokens[tokens])
    assert same(batch.starts.diff(), np.diff(part.starts)[sequences])
    assert same(batch.units.diff(), np.diff(part.units)[index])
    assert same(batch.fields["unit"], index)
    assert same(batch.fields["sequence"], np.array(sequences) / 2)
    assert same(batch.fields["token"], np.arange(2 * len(part.tokens)).reshape(-1, 2)[tokens])
    assert list(batch.lengths) == list(np.diff(part.starts)[sequences])
    assert len(batch) == len(index)
    where = rows(part, index)
    assert [list(where[name]) for name in ("unit", "sequence", "token")] == [list(index), sequences, tokens]


@given(shapes, st.integers(1, 60), st.data())
def test_cuts_are_an_even_partition(shape: list[list[int]], budget: int, data: st.DataObject) -> None:
    part = features(shape)
    index = np.array(data.draw(st.permutations(range(len(shape)))), dtype=np.int64)
    groups = micro_batches(part, index, budget)
    assert sorted(np.concatenate(groups)) == sorted(index)
    longest = np.array([max(unit) for unit in shape])
    assert list(longest[np.concatenate(groups)]) == sorted(longest, reverse=True)
    total = sum(map(sum, shape))
    wanted = -(-total // budget)
    assert len(groups) <= wanted
    for group in groups:
        assert sum(sum(shape[u]) for u in group) < total / wanted + max(map(sum, shape))


def test_whole_numbers_are_int64_and_the_rest_keeps_its_type() -> None:
    batch = gather(features([[3], [2]]), np.array([1]))
    assert (batch.tokens.dtype, batch.fields["unit"].dtype) == (torch.int64, torch.int64)
    assert batch.fields["sequence"].dtype == torch.float64


def test_every_unit_of_a_part_once_for_inference() -> None:
    part = features([[5], [1, 1], [9], [2]])
    assert [list(group) for group in in_length_order(part, 9)] == [[2], [0, 3, 1]]


def test_nothing_gives_no_group() -> None:
    assert micro_batches(features([[1]]), np.array([], dtype=np.int64), 5) == []


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]])
def test_equal_lengths_keep_their_order(order: list[int]) -> None:
    assert [list(g) for g in micro_batches(features([[4], [4], [4]]), np.array(order), 100)] == [order]
