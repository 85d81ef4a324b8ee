from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

from xstilts.scoring.accuracy import accuracy, commonest


def test_accuracy_in_percent() -> None:
    assert accuracy(["a", "b", "b", "a"], ["a", "b", "a", "a"]) == 75
    assert accuracy(pa.chunked_array([[1], [2, 3]]), pa.chunked_array([[1, 2], [0]])) == pytest.approx(200 / 3)


def test_no_answers_are_no_score() -> None:
    assert math.isnan(accuracy([], []))
    assert math.isnan(commonest([]))


def test_answers_that_do_not_match_up_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers predicted for 3 gold ones"):
        accuracy(["a", "b", "c"], ["a", "b"])


def test_commonest() -> None:
    assert commonest(pa.chunked_array([["x", "y"], ["x", "x", "z"]])) == 60
    assert commonest([0, 1, 1]) == pytest.approx(200 / 3)


@pytest.mark.parametrize(("task", "mean"), [("xnli", 30.666666666666668), ("pawsx", 51.42857142857143)])
def test_xtremes_own_regression_values(slices: Path, task: str, mean: float) -> None:
    """The mean over languages that XTREME's test of its evaluation expects of its mock submission."""
    folder = slices / "fixtures/xtreme_mock"
    files = sorted((folder / "labels" / task).glob("*.tsv"))
    scores = [
        accuracy(path.read_text().split(), (folder / "predictions" / task / path.name).read_text().split())
        for path in files
    ]
    assert sum(scores) / len(scores) == pytest.approx(mean, abs=1e-12)
