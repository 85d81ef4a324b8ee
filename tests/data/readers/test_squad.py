"""Readers of SQuAD's JSON and its kin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.data.readers.squad import TYDI, fingerprint, in_xquad
from xstilts.errors import DataError

File = Callable[..., Path]
Part = Callable[[str, str], list[dict[str, Any]]]


def squad(context: str, *questions: dict[str, Any]) -> str:
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(text: str, start: int, name: str = "q1", **more: Any) -> dict[str, Any]:
    return {"id": name, "question": "What?", "answers": [{"text": text, "answer_start": start}], **more}


def test_offsets_count_characters(file: File) -> None:
    """Code points, not bytes nor UTF-16 units."""
    path = file("a.json", squad("Ὀδύσσεια 𝄞 là", question("là", 11)))
    row = next(read("squad", [path], "el")).values
    assert row["answers"] == [{"text": "là", "start": 11}]
    assert row["context"][11:] == "là"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (squad("abc", question("c", 1)), r"question q1: the answer 'c' is not at character 1"),
        (squad("abc", question("", 0)), r"question q1 has no answer; XTREME takes them out"),
        (squad("abc", {"id": "q1", "question": "?", "answers": []}), "question q1 has no answer"),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', r"is not in SQuAD's layout \(KeyError: 'qas'\)"),
        ('{"data": 3}', "is not in SQuAD's layout"),
        ("[]", "is not in SQuAD's layout"),
        ('{"data": [{"title"', r"a\.json:1: is not whole JSON"),
    ],
)
def test_what_is_wrong_is_named(file: File, content: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(read("squad", [file("a.json", content)], "en"))


def test_impossible_questions_have_no_answers(file: File) -> None:
    path = file("a.json", squad("abc", question("zzz", 77, is_impossible=True)))
    assert next(read("squad", [path], "en")).values["answers"] == []


def test_squad_slices(part: Part) -> None:
    assert [len(part("squad", p)) for p in ("en/train", "en/selection")] == [966, 141]
    rows = part("squad_v2", "en/train")
    assert len(rows) == 2000
    assert 0.3 < sum(not r["answers"] for r in rows) / 2000 < 0.7
    assert all(r["answers"] for r in part("squad", "en/train"))


def test_selection_has_no_paragraph_of_xquad(slices: Path, part: Part) -> None:
    """Of the 240 paragraphs, those in the slice are known, by letters and digits alone; SQuAD's are not."""
    english = {r["context"] for r in part("xquad", "en/test")}
    assert english
    assert all(in_xquad(context) for context in english)
    assert all(fingerprint(f"  {c.upper()}".replace("-", "–").replace(",", "")) == fingerprint(c) for c in english)
    assert not any(in_xquad(r["context"]) for r in part("squad", "en/selection"))
    path = slices / "xquad/xquad.en.json"
    assert len(list(read("squad", [path], "en"))) == 177
    assert not list(read("squad", [path], "en", without_xquad=True))


def test_xquad_is_parallel(part: Part) -> None:
    english = part("xquad", "en/test")
    for language in ("ar", "hi", "zh"):
        rows = part("xquad", f"{language}/test")
        assert [r["id"] for r in rows] == [r["id"] for r in english]


def test_mlqa_slices(part: Part) -> None:
    counts = {language: len(part("mlqa", f"{language}/dev")) for language in ("ar", "de", "en", "es", "vi", "zh")}
    assert counts == {"ar": 171, "de": 99, "en": 200, "es": 54, "vi": 81, "zh": 46}


def test_tydiqa_is_cut_by_language_and_paragraph(part: Part) -> None:
    train, selection = part("tydiqa", "en/train"), part("tydiqa", "en/selection")
    assert len(train) + len(selection) == 1800, "all of the English training slice"
    assert 0.06 < len(selection) / 1800 < 0.14
    assert not {r["context"] for r in train} & {r["context"] for r in selection}
    for language in sorted(set(TYDI) - {"te"}):
        rows = part("tydiqa", f"{language}/test")
        assert len(rows) == 70
        assert all(r["id"].startswith(TYDI[language]) for r in rows)
    assert not part("tydiqa", "te/test")


def test_prepared_copies_of_xtreme_are_refused(slices: Path) -> None:
    """Their test answers are blanked: scored as they are, everything would be 0."""
    layout = slices / "fixtures/xtreme_layout"
    for path in [*layout.glob("mlqa/**/*.json"), *layout.glob("xquad/*.json")]:
        with pytest.raises(DataError, match="has no answer; XTREME takes them out"):
            list(read("squad", [path], "en"))
