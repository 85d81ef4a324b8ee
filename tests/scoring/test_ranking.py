"""Against brute force, and goldens computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.scoring.ranking import (
    average_precision,
    best_threshold,
    mine,
    pair_score,
    reciprocal_rank,
    top_k,
    top_k_both_ways,
    unit_length,
)

SIZES = st.integers(1, 12)


@given(st.integers(0, 10**6), SIZES, SIZES, st.integers(1, 15), st.integers(1, 5), st.integers(1, 5))
def test_top_k_is_a_stable_sort(seed: int, queries: int, candidates: int, k: int, rows: int, columns: int) -> None:
    """Small whole numbers, so that equal similarities are common and exact; blocks smaller than the data."""
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-1, 2, size=(n, 2)).astype(np.float32) for n in (queries, candidates))
    similarity, position = top_k(x, y, k, blocks=(rows, columns))
    expected = np.argsort(-(x @ y.T), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(position, expected)
    np.testing.assert_array_equal(similarity, np.take_along_axis(x @ y.T, expected, axis=1))


def test_top_k_of_many() -> None:
    rng = np.random.default_rng(0)
    x, y = unit_length(rng.normal(size=(70, 8))), unit_length(rng.normal(size=(3000, 8)))
    _, position = top_k(x, y, 20, blocks=(32, 512))
    np.testing.assert_array_equal(position, np.argsort(-(x @ y.T), axis=1, kind="stable")[:, :20])


@pytest.mark.parametrize("k", [2, 4, 20])
def test_of_many_equals_the_first_are_taken(k: int) -> None:
    x, y = np.random.default_rng(k).integers(-1, 2, size=(2, 500, 2)).astype(np.float32)
    _, position = top_k(x, y, k, blocks=(64, 4000))  # 250 are sorted whole, the other 250 compared with them
    np.testing.assert_array_equal(position, np.argsort(-(x @ y.T), axis=1, kind="stable")[:, :k])


@given(st.integers(0, 10**6), SIZES, SIZES, st.integers(1, 15), st.integers(1, 5), st.integers(1, 40))
def test_both_ways_at_once(seed: int, sources: int, targets: int, k: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-1, 2, size=(n, 2)).astype(np.float32) for n in (sources, targets))
    forward, backward = top_k_both_ways(x, y, k, blocks=(rows, columns))
    for found, expected in ((forward, top_k(x, y, k)), (backward, top_k(y, x, k))):
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])


def test_unit_length() -> None:
    np.testing.assert_allclose(unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


def slow_mine(source: np.ndarray, target: np.ndarray, k: int) -> list[tuple[int, int, float]]:
    """The same by its definition, one pair at a time."""
    cosine = unit_length(source) @ unit_length(target).T
    nearest = {"source": [], "target": []}
    for side, table in (("source", cosine), ("target", cosine.T)):
        nearest[side] = [sorted(range(len(row)), key=lambda j, row=row: -row[j])[:k] for row in table]
    of_source = [np.mean([cosine[i, j] for j in near]) for i, near in enumerate(nearest["source"])]
    of_target = [np.mean([cosine[i, j] for i in near]) for j, near in enumerate(nearest["target"])]

    def margin(i: int, j: int) -> float:
        return float(cosine[i, j] / ((of_source[i] + of_target[j]) / 2))

    proposals = [(i, max(near, key=lambda j: margin(i, j))) for i, near in enumerate(nearest["source"])]
    proposals += [(max(near, key=lambda i: margin(i, j)), j) for j, near in enumerate(nearest["target"])]
    pairs: list[tuple[int, int, float]] = []
    for i, j in sorted(proposals, key=lambda pair: -margin(*pair)):
        if margin(i, j) > 0 and all(i != other and j != another for other, another, _ in pairs):
            pairs.append((i, j, margin(i, j)))
    return pairs


@settings(deadline=None)
@given(st.integers(0, 10**6), SIZES, SIZES, st.integers(2, 5))
def test_mining_is_its_definition(seed: int, sources: int, targets: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0.1, 1, size=(sources, 3)), rng.uniform(0.1, 1, size=(targets, 3))
    found = list(zip(*(column.tolist() for column in mine(source, target, k)), strict=True))
    expected = slow_mine(source, target, k)
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected], rel=1e-4)


def test_mining_by_hand() -> None:
    """Two crossed pairs at right angles: every sentence's neighbours have the cosines 1 and 0, so 1 / 0.5."""
    sources, targets, margins = mine(np.eye(2) * 7, np.eye(2)[::-1])
    assert sorted(zip(sources.tolist(), targets.tolist(), strict=True)) == [(0, 1), (1, 0)]
    np.testing.assert_allclose(margins, 2)


def test_mining_of_nothing() -> None:
    for column in mine(np.empty((0, 3)), np.ones((2, 3))):
        assert len(column) == 0


def test_threshold_by_hand() -> None:
    """F1 after each pair: 2/3, 1/2, 4/5, 2/3."""
    assert best_threshold([0.7, 0.9, 0.6, 0.8], [True, True, False, False], golds=2) == pytest.approx(0.65)
    assert best_threshold([0.9, 0.8], [False, False], golds=2) == 0
    assert best_threshold([], [], golds=2) == 0
    assert best_threshold([0.8, 0.9], [True, True], golds=2) == 0.8  # all of them: there is no next pair


@given(st.lists(st.tuples(st.integers(1, 999), st.booleans()), unique_by=lambda pair: pair[0]), st.integers(0, 3))
def test_no_threshold_is_better(pairs: list[tuple[int, bool]], missed: int) -> None:
    scores, correct = [float(score) for score, _ in pairs], [right for _, right in pairs]
    golds = sum(correct) + missed

    def f1(threshold: float) -> float:
        kept = [right for score, right in zip(scores, correct, strict=True) if score >= threshold]
        return pair_score(sum(kept), len(kept), golds).f1

    chosen = f1(best_threshold(scores, correct, golds))
    assert math.isnan(chosen) if golds == 0 else all(chosen >= f1(score) for score in scores)


def test_pair_score() -> None:
    score = pair_score(right=2, kept=4, golds=8)
    assert (score.precision, score.recall, score.f1) == pytest.approx((0.5, 0.25, 1 / 3))
    assert pair_score(0, 4, 8).f1 == pair_score(0, 0, 8).precision == 0
    assert math.isnan(pair_score(0, 4, 0).f1)


@pytest.mark.parametrize(
    ("ranked", "golds", "k", "expected"),
    [
        ("abc", "ac", 20, (1 + 2 / 3) / 2),
        ("abc", "ac", 2, 1 / 2),  # c came too late, and still counts in the divisor
        ("ab", "abcdefg", 2, 1),  # no more than k can be found
        ("xay", "a", 20, 1 / 2),
        ("xy", "a", 20, 0),
        ("aab", "ab", 20, (1 + 2 / 3) / 2),  # a candidate counts once
        ("", "a", 20, 0),
    ],
)
def test_average_precision(ranked: str, golds: str, k: int, expected: float) -> None:
    assert average_precision(list(ranked), list(golds), k) == pytest.approx(expected)


def test_average_precision_needs_a_gold() -> None:
    with pytest.raises(ValueError, match="needs a gold"):
        average_precision(["a"], [], 20)


def test_reciprocal_rank() -> None:
    assert reciprocal_rank(["x", "y", "a"], ["a"], 20) == 1 / 3
    assert reciprocal_rank(["x", "b", "a"], ["a", "b"], 20) == 1 / 2
    assert reciprocal_rank(["x", "y", "a"], ["a"], 2) == 0


@pytest.mark.parametrize("k", [1, 4])
def test_a_diverged_model_finds_nothing(k: int) -> None:
    """Vectors that are no numbers are no pair, and ranking does not stop."""
    nothing = np.full((30, 2), np.nan)
    assert len(mine(nothing, nothing, k)[0]) == 0
    assert top_k(nothing, nothing, k, blocks=(7, 64))[1].shape == (30, k)
