from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerFast

from xstilts.formats import get
from xstilts.formats.base import Limits, Score
from xstilts.scoring.ranking import mine
from xstilts.task import Task

FORMAT = get("mining")
TASK = Task("bucc", "mining")
DEV, TEST = ("zh", "dev"), ("zh", "test")


def table(*rows: tuple[str, str, str, str | None]) -> pa.Table:
    names = FORMAT.columns.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=FORMAT.columns)


def decode(rows: pa.Table, vectors: np.ndarray, normalised: np.ndarray | None = None) -> pa.Table:
    outputs = {"raw": vectors, "normalised": vectors if normalised is None else normalised}
    return FORMAT.decode({DEV: outputs}, {}, {DEV: rows}, TASK)[DEV]


def predicted(*pairs: tuple[str | None, str | None, float | None]) -> pa.Table:
    """Predictions of one part: what was said, the gold, the margin."""
    columns = {
        "id": [f"s{i}" for i in range(len(pairs))],
        "prediction": pa.array([said for said, _, _ in pairs], pa.string()),
        "score": pa.array([margin for _, _, margin in pairs], pa.float32()),
        "gold": pa.array([[gold] if gold else [] for _, gold, _ in pairs], pa.list_(pa.string())),
    }
    columns |= {f"{name}_normalised": columns[name] for name in ("prediction", "score")}
    return pa.table(columns)


def values(scores: list[Score], part: tuple[str, str]) -> dict[str, float]:
    return {score.metric: score.value for score in scores if (score.language, score.split) == part}


def test_features(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = table(("s", "source", "the cat", "t"), ("t", "target", "a dog ran on", "s"))
    features = FORMAT.features(rows, TASK, tokenizer, Limits(max_length=5))
    assert features.tokens.tolist() == tokenizer("the cat")["input_ids"] + tokenizer("a dog ran")["input_ids"]
    assert features.units.tolist() == [0, 1, 2]
    assert features.item.tolist() == [0, 1]
    assert features.cut == 1


def test_pairs_found_and_gold_from_either_side() -> None:
    rows = table(
        ("t0", "target", "x", None),
        ("s0", "source", "a", "t1"),
        ("t1", "target", "y", None),
        ("s1", "source", "b", None),
        ("t2", "target", "z", "s1"),
    )
    vectors = np.array([[1, 1, 1], [1, 0, 0.1], [1, 0, 0.1], [0, 1, 0], [0, 1, 0]], dtype=np.float32)
    found = decode(rows, vectors)
    assert found["id"].to_pylist() == ["s0", "s1"]
    assert found["prediction"].to_pylist() == found["prediction_normalised"].to_pylist() == ["t1", "t2"]
    assert found["gold"].to_pylist() == [["t1"], ["t2"]]
    sources, _, margins = mine(vectors[[1, 3]], vectors[[0, 2, 4]])
    assert found["score"].to_pylist() == margins[np.argsort(sources)].tolist()


def test_the_two_embeddings_are_mined_apart() -> None:
    rows = table(*((f"{side[0]}{i}", side, f"{side}{i}", None) for side in ("source", "target") for i in range(2)))
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32)
    found = decode(rows, vectors, vectors[[0, 1, 3, 2]])
    assert found["prediction"].to_pylist() == ["t0", "t1"]
    assert found["prediction_normalised"].to_pylist() == ["t1", "t0"]


def test_repeated_texts_are_mined_once_and_dropped() -> None:
    """`a` stands twice as it is, `b` once more with a blank behind it; neither id can be told."""
    rows = table(
        ("s0", "source", "a", "t0"),
        ("s1", "source", "a", None),
        ("s2", "source", "b", "t1"),
        ("s3", "source", "b ", None),
        ("s4", "source", "c", "t2"),
        ("t0", "target", "x", None),
        ("t1", "target", "y", None),
        ("t2", "target", "z", None),
    )
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 3, 2, 0, 1, 2]] + 0.1
    found = decode(rows, vectors)
    assert found["id"].to_pylist() == ["s0", "s1", "s2", "s3", "s4"]
    assert found["prediction"].to_pylist() == [None, None, None, None, "t2"]
    assert found["score"].null_count == 4
    assert found["gold"].to_pylist() == [["t0"], [], ["t1"], [], ["t2"]]
    alone = mine(vectors[[0, 2, 3, 4]], vectors[5:])
    assert found["score"][4].as_py() == pytest.approx(alone[2][alone[0] == 3].item())


def test_threshold_of_dev_decides_on_test() -> None:
    """On dev the best cut is after 1.2, half-way to 1.0; on test that keeps one right and one wrong pair of 2 golds."""
    dev = predicted(("t0", "t0", 1.4), ("t1", "t1", 1.2), ("t9", "t2", 1.0), (None, None, None))
    test = predicted(("t0", "t0", 1.3), ("t9", None, 1.15), ("t1", "t1", 1.05))
    scores = FORMAT.score({DEV: dev, TEST: test}, TASK)
    at_dev, at_test = values(scores, DEV), values(scores, TEST)
    assert at_dev["f1"] == at_dev["f1_best"] == at_dev["f1_normalised"] == pytest.approx(80)
    assert (at_dev["precision"], at_dev["recall"]) == pytest.approx((100, 200 / 3))
    assert (at_test["precision"], at_test["recall"], at_test["f1"]) == pytest.approx((50, 50, 50))
    assert at_test["f1_best"] == pytest.approx(80)  # all three pairs
    assert {score.count for score in scores if score.split == "test"} == {2}
    versions = {score.metric: score.version for score in scores}
    assert versions["f1"] == "ratio4-max-dev-threshold"
    assert versions["f1_best"] == "ratio4-max-own-threshold"


def test_without_dev_there_is_no_f1() -> None:
    """Another language's dev does not count."""
    parts = {("de", "dev"): predicted(("t0", "t0", 1.3)), TEST: predicted(("t0", "t0", 1.3), ("t9", "t1", 1.1))}
    scores = [score for score in FORMAT.score(parts, TASK) if score.language == "zh"]
    found = values(scores, TEST)
    assert all(math.isnan(found[name]) for name in ("f1", "precision", "recall", "f1_normalised"))
    assert found["f1_best"] == pytest.approx(200 / 3)
    assert {score.version for score in scores if score.metric == "f1"} == {"ratio4-max-no-dev-threshold"}


def test_a_part_without_gold_pairs_has_no_score() -> None:
    scores = FORMAT.score({DEV: predicted(("t0", None, 1.3))}, TASK)
    assert all(math.isnan(score.value) for score in scores)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("s", "left", "a", None), "s: side is 'left'"),
        (("s", "source", "a", "s2"), "s: its pair 's2' is not a sentence of the other side"),
        (("s", "source", "a", "t7"), "s: its pair 't7' is not a sentence of the other side"),
    ],
)
def test_check(row: tuple[str, str, str, str | None], message: str) -> None:
    rows = [("s2", "source", "b", "t"), ("t", "target", "x", None)]
    FORMAT.check(table(*rows), TASK)
    with pytest.raises(ValueError, match=message):
        FORMAT.check(table(*rows, row), TASK)
