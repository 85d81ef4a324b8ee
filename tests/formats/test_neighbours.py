"""What a GPU would do, on a CPU: beside `xstilts.scoring.ranking`, which has tests against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xstilts.formats import neighbours
from xstilts.scoring import ranking

CPU = torch.device("cpu")
SIZES = st.integers(1, 12)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Blocks smaller than the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "QUERIES", 3)
        patch.setattr(neighbours, "CANDIDATES", 2)
        patch.setattr(neighbours, "KEPT", 5)
        yield


@given(st.integers(0, 10**6), SIZES, SIZES, st.integers(1, 15))
def test_a_gpus_search_finds_what_a_cpus_does(seed: int, queries: int, candidates: int, k: int) -> None:
    """Small whole numbers, so that equal similarities are common and exact, zeros of both signs among them."""
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-1, 2, size=(n, 2)).astype(np.float32) for n in (queries, candidates))
    found = [*neighbours._top_k_both_ways(x, y, k, CPU), neighbours._top_k(x, y, k, CPU)]
    wanted = [*ranking.top_k_both_ways(x, y, k), ranking.top_k(x, y, k)]
    for ours, expected in zip(found, wanted, strict=True):
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_similarities_of_every_size_keep_their_order() -> None:
    numbers = np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 0.1, -0.1, 1, -1], dtype=np.float32)[:, None]
    similarities, positions = neighbours._top_k(np.ones((1, 1), np.float32), numbers, len(numbers), CPU)
    assert similarities.tolist() == [sorted(numbers[:, 0].tolist(), reverse=True)]
    assert positions.tolist() == [np.argsort(-numbers[:, 0], kind="stable").tolist()]


def test_mining_by_either_search() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.uniform(0.1, 1, size=(40, 3)), rng.uniform(0.1, 1, size=(30, 3))
    expected = ranking.mine(source, target)
    found = ranking.mine(source, target, search=partial(neighbours._top_k_both_ways, device=CPU))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_default_device_is_where_neighbours_are_looked_for() -> None:
    """A device without values, which a search must ask for some."""
    x = np.ones((2, 3), np.float32)
    with torch.device("meta"), pytest.raises(NotImplementedError):
        neighbours.top_k(x, x, 1)
    with torch.device("meta"), pytest.raises(NotImplementedError):
        neighbours.mine(x, x)
    assert neighbours.top_k(x, x, 1)[1].tolist() == [[0], [0]]
    np.testing.assert_array_equal(neighbours.mine(x, x)[0], ranking.mine(x, x)[0])
