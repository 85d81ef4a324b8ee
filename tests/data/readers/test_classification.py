"""Readers of labelled pairs: MultiNLI, SNLI, ANLI, XNLI, PAWS-X, QQP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.errors import DataError

File = Callable[..., Path]
Part = Callable[[str, str], list[dict[str, Any]]]
LABELS = {"entailment", "neutral", "contradiction"}


def test_unlabelled_pairs_are_left_out(file: File) -> None:
    records = [
        {"sentence1": "a", "sentence2": "b", "gold_label": "-"},
        {"sentence1": "c", "sentence2": "d", "gold_label": "neutral"},
    ]
    path = file("nli.jsonl", "\n".join(map(json.dumps, records)))
    rows = list(read("nli", [path], "en"))
    assert [(r.line, r.values) for r in rows] == [(2, {"text_a": "c", "text_b": "d", "label": "neutral"})]


def test_a_missing_field_is_named(file: File) -> None:
    path = file("nli.jsonl", '{"sentence1": "a", "gold_label": "neutral"}\n')
    with pytest.raises(DataError, match=r"nli\.jsonl:1: has no field 'sentence2', only sentence1, gold_label"):
        list(read("nli", [path], "en"))


@pytest.mark.parametrize(("name", "train", "selection"), [("mnli", 2000, 300), ("snli", 10, 10), ("anli", 1965, 321)])
def test_nli_slices(part: Part, name: str, train: int, selection: int) -> None:
    for split, count in (("en/train", train), ("en/selection", selection)):
        rows = part(name, split)
        assert len(rows) == count
        assert {r["label"] for r in rows} <= LABELS
        assert all(r["text_a"] and r["text_b"] for r in rows)


def test_original_columns(slices: Path) -> None:
    """The distributions' own columns, of which our slices have lost some."""
    dummy = slices / "fixtures/hf_dummy"
    rows = list(read("nli", [*dummy.glob("multi_nli/**/multinli_1.0_train.jsonl")], "en"))
    assert rows
    assert {r.values["label"] for r in rows} <= LABELS
    for language in ("ar", "bg", "ur", "zh"):
        rows = list(read("xnli", [*dummy.glob("xnli/**/XNLI-1.0/xnli.test.tsv")], language))
        assert all(r.values["label"] in LABELS for r in rows)


def test_xnli_is_parallel(part: Part) -> None:
    """Row i is the same pair in every language."""
    for split in ("dev", "test"):
        english = part("xnli", f"en/{split}")
        assert len(english) == 150
        for language in ("ar", "sw", "zh"):
            rows = part("xnli", f"{language}/{split}")
            assert [r["label"] for r in rows] == [r["label"] for r in english]
            assert rows[0]["text_a"] != english[0]["text_a"]
        assert not part("xnli", f"ur/{split}"), "Urdu is not in the slices"


def test_xnli_quotes_are_text_and_short_rows_are_named(file: File) -> None:
    head = "language\tgold_label\tsentence1\tsentence2\n"
    whole = head + 'sw\tneutral\t"Habari\tndiyo"\n'
    assert [r.values["text_a"] for r in read("xnli", [file("xnli.tsv", whole)], "sw")] == ['"Habari']
    path = file("xnli.tsv", whole + "en\tneutral\tHello\n")
    for language in ("sw", "en"):
        with pytest.raises(DataError, match=r"xnli\.tsv:3: has 3 columns, where the header has 4"):
            list(read("xnli", [path], language))
    with pytest.raises(DataError, match=r"other\.tsv:1: has no field 'gold_label'"):
        list(read("xnli", [file("other.tsv", "language\tsentence1\tsentence2\n")], "en"))


def test_pawsx_is_parallel_but_for_some_labels(part: Part) -> None:
    english, korean = part("pawsx", "en/dev"), part("pawsx", "ko/dev")
    assert [r["id"] for r in english] == [r["id"] for r in korean]
    differ = sum(a["label"] != b["label"] for a, b in zip(english, korean, strict=True))
    assert 0 < differ < 10, "about 2 % of 150"
    assert Counter(r["label"] for r in part("pawsx", "en/train")).keys() == {"0", "1"}


def test_cut_rows_of_qqp(file: File) -> None:
    text = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\ta\tb\t1\n2\t3\t4\tc\n3\t5\t6\te\tf\t0\n"
    options = {"text_a": "question1", "text_b": "question2", "label": "is_duplicate", "id": None}
    path = file("train.tsv", text)
    assert [r.line for r in read("tsv", [path], "en", **options, cut_rows=True)] == [2, 4]
    with pytest.raises(DataError, match=r"train\.tsv:3: has 4 columns, where the header has 6"):
        list(read("tsv", [path], "en", **options))
