"""Readers of multiple choice: HellaSwag, CommonsenseQA, Social IQa, COPA, XCOPA, Cosmos QA."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.errors import DataError, UserError
from xstilts.task import load

File = Callable[..., Path]
Part = Callable[[str, str], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("hellaswag", (651, 201)),
        ("csqa", (2000, 300)),
        ("siqa", (2000, 300)),
        ("copa", (400, 60)),
        ("cosmosqa", (2000, 300)),
    ],
)
def test_slices(part: Part, name: str, counts: tuple[int, int]) -> None:
    for split, count in zip(("en/train", "en/selection"), counts, strict=True):
        rows = part(name, split)
        assert len(rows) == count
        assert {len(r["choices"]) for r in rows} == {load(name).options["choices"]}
        labels = Counter(r["label"] for r in rows)
        assert max(labels.values()) < 0.7 * count, "the right answer is not always at one place"


def test_xcopa_is_aligned_by_id(part: Part) -> None:
    ids = [r["id"] for r in part("xcopa", "et/test")]
    assert len(ids) == 150
    for language in ("qu", "sw", "zh"):
        rows = part("xcopa", f"{language}/test")
        assert [r["id"] for r in rows] == ids
        assert {r["question"] for r in rows} == {"What was the cause?", "What was the effect?"}
    assert not part("xcopa", "ht/test")


def test_items_of_hellaswag_are_named_by_place(part: Part) -> None:
    """`ind` is not unique: ActivityNet and WikiHow count by themselves."""
    rows = part("hellaswag", "en/train")
    assert not any("id" in r for r in rows)
    assert any(r["question"] for r in rows), "what the endings continue"


@pytest.mark.parametrize(
    ("shape", "record", "reason"),
    [
        ("copa", {"idx": 0, "premise": "a", "question": "why", "choice1": "b", "choice2": "c", "label": 0}, "'why'"),
        ("copa", {"idx": 0, "premise": "a", "question": "cause", "choice1": "b", "choice2": "c", "label": 2}, "of 2"),
        ("siqa", {"context": "a", "question": "b", "answerA": "", "answerB": "", "answerC": "", "correct": "D"}, "'D'"),
        ("hellaswag", {"ctx_a": "a", "ctx_b": "b", "endings": ["c"]}, "not an item of hellaswag: 'label'"),
        ("csqa", {"id": "1", "question": {"stem": "a", "choices": []}}, "'answerKey'"),
    ],
)
def test_what_is_wrong_is_named(file: File, shape: str, record: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:1: .*{reason}"):
        list(read("multiple_choice", [file("x.jsonl", json.dumps(record))], "en", shape=shape))


def test_unknown_shapes_and_readers_name_the_valid_ones(file: File) -> None:
    with pytest.raises(UserError, match="did you mean 'copa'"):
        list(read("multiple_choice", [file("x.jsonl", "")], "en", shape="coppa"))
    with pytest.raises(UserError, match="no reader 'squat'; did you mean 'squad'"):
        read("squat", [], "en")


def test_cosmos_fields_may_hold_commas_quotes_and_line_ends(file: File) -> None:
    head = "id,context,question,answer0,answer1,answer2,answer3,label\r\n"
    text = head + 'a,"one, ""two""\r\nthree",q,w,x,y,z,3\r\n'
    rows = list(read("cosmos", [file("x.csv", text)], "en"))
    assert rows[0].values["context"].splitlines() == ['one, "two"', "three"]
    assert (rows[0].line, rows[0].values["label"]) == (3, 3)
    with pytest.raises(DataError, match=r"x\.csv:2: the label '4' is not 0, 1, 2 or 3"):
        list(read("cosmos", [file("x.csv", head + "a,b,q,w,x,y,z,4\r\n")], "en"))
    with pytest.raises(DataError, match=r"x\.csv:2: has 7 fields, where the header has 8"):
        list(read("cosmos", [file("x.csv", head + "a,b,q,w,x,y,z\r\n")], "en"))
    with pytest.raises(DataError, match=r"x\.csv:2: is not CSV"):
        list(read("cosmos", [file("x.csv", head + 'a,"b,q,w,x')], "en"))
