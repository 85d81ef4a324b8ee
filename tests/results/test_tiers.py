"""The bounds, on languages of known size."""

import pytest

from xstilts.results.tiers import TIERS, tier


@pytest.mark.parametrize(
    ("gib", "expected"),
    [(0.0, "unseen"), (0.2, "low"), (2.0, "low"), (9.1, "low"), (10.0, "low"), (12.2, "high"), (300.8, "high")],
)
def test_tier(gib: float, expected: str) -> None:
    assert tier(gib) == expected
    assert expected in TIERS
