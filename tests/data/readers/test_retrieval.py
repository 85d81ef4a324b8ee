"""Readers of what is searched: Tatoeba, BUCC, LAReQA, Mewsli-X; and English sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.data.readers.sentences import sentences
from xstilts.errors import DataError

File = Callable[..., Path]
Part = Callable[[str, str], list[dict[str, Any]]]


def test_tatoeba_slices(part: Part) -> None:
    assert len(part("tatoeba", "jv/test")) == 136
    rows = part("tatoeba", "zh/test")  # cmn
    assert len(rows) == 150
    assert rows[0].keys() == {"source", "target"}
    assert all(r["target"].isascii() or "’" in r["target"] or "é" in r["target"] for r in rows[:20]), (
        "target is English"
    )
    assert not part("tatoeba", "pl/test")


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ("a\nb\n", "x\ny\nz\n", r"l\.swh:3: ends before line 3, and its translations r\.eng go on"),
        ("a\nb\nc\n", "x\ny\n", r"r\.eng:3: ends before line 3, and its translations l\.swh go on"),
        ("a\n\n", "x\ny\n", r"l\.swh:2: is an empty line"),
        ("a\n", b"caf\xe9\n", r"r\.eng:1: is not UTF-8"),
    ],
)
def test_sides_that_do_not_correspond_are_named(file: File, left: str, right: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(read("tatoeba", [file("l.swh", left), file("r.eng", right)], "sw"))


def test_bucc_slices(part: Part) -> None:
    rows = part("bucc", "zh/dev")
    sides = {r["id"]: r["side"] for r in rows}
    paired = [r for r in rows if r["pair"]]
    assert len(paired) == 2 * 150
    assert all(sides[r["pair"]] != r["side"] for r in paired)


def test_bucc_faults_are_named(file: File) -> None:
    source, target = file("s", "s-1\tuno\n"), file("t", "t-1\tone\n")
    with pytest.raises(DataError, match=r"g:1: the id 't-9' is in neither s nor t"):
        list(read("bucc", [source, target, file("g", "s-1\tt-9\n")], "es"))
    with pytest.raises(DataError, match=r"g:1: is not two columns"):
        list(read("bucc", [source, target, file("g", "s-1 t-1\n")], "es"))


def test_lareqa_questions_have_an_answer_in_every_language(part: Part) -> None:
    rows = part("lareqa", "sw/test")
    assert not rows
    rows = part("lareqa", "zh/test")
    queries, candidates = ([r for r in rows if r["kind"] == kind] for kind in ("query", "candidate"))
    assert len(queries) == 177
    assert len({r["id"] for r in rows}) == len(rows)
    assert all({c.split("-")[0] for c in r["positives"]} >= {"en", "zh", "ar"} for r in queries)
    own = {r["id"] for r in candidates}
    assert all({c for c in r["positives"] if c.startswith("zh-")} <= own for r in queries)


def test_lareqa_without_sentence_boundaries_is_refused(slices: Path) -> None:
    with pytest.raises(DataError, match="without sentence_breaks"):
        list(read("lareqa", [slices / "xquad/xquad.en.json"], "xquad.en"))


def test_pairs_to_train_on(part: Part) -> None:
    """The candidate is the sentence that holds the answer, and its paragraph."""
    spans = {r["id"]: r for r in part("squad", "en/selection")}
    rows = part("squad_retrieval", "en/selection")
    assert len(rows) == 141
    for row in rows:
        item = spans[row["id"]]
        context, answer = item["context"].replace("\n", ""), item["answers"][0]
        assert row["candidate"].endswith(context)
        sentence = row["candidate"].removesuffix(context)
        assert sentence in context
        assert answer["text"].split()[0].strip("().,") in sentence


def test_sentences_of_lareqas_english_paragraphs(slices: Path) -> None:
    """Nearly the boundaries that LAReQA ships; F1 is .991 over all of XQuAD-R."""
    content = json.loads((slices / "lareqa/xquad-r/en.json").read_text())
    paragraphs = [p for article in content["data"] for p in article["paragraphs"]]
    gold = {(i, *span) for i, p in enumerate(paragraphs) for span in p["sentence_breaks"]}
    found = {(i, *span) for i, p in enumerate(paragraphs) for span in sentences(p["context"])}
    assert 2 * len(gold & found) / (len(gold) + len(found)) > 0.98


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Who met J. R. Tolkien vs. Mr. X. The end.", ["Dr. Who met J. R. Tolkien vs. Mr. X.", "The end."]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("It was so.[12][note 3] In 1999 more. 2000 too.", ["It was so.[12][note 3]", "In 1999 more.", "2000 too."]),
        ("about 3.5 percent of it e.g. Rome", ["about 3.5 percent of it e.g. Rome"]),
        ("  Spaces.  \n Around. ", ["Spaces.", "Around."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[begin:end] for begin, end in sentences(text)] == expected


def test_mewslix_mentions(slices: Path) -> None:
    path = slices / "fixtures/mewslix_example_mentions.jsonl"
    rows = [r.values for r in read("mewslix", [path], "en", what="mentions")]
    assert rows
    assert rows[0]["query"].startswith("Helsinki: In { Helsinki } , the Finnish trade union")
    assert "\n" not in rows[0]["query"]
    assert rows[0]["positives"] == ["Q1757"]
    total = sum(len(list(read("mewslix", [path], language, what="mentions"))) for language in ("en", "ar"))
    assert total == 3
    assert not list(read("mewslix", [path], "fa", what="mentions"))


def test_mewslix_pairs_and_entities(file: File) -> None:
    entity = {
        "entity_id": "Q1",
        "title": "T",
        "description": "One.\nTwo. More",
        "sentence_spans": [{"start": 0, "end": 4}, {"start": 5, "end": 9}],
    }
    context = {"language": "en", "text": "A {b} c. Rome fell.", "sentence_spans": [{"start": 0, "end": 19}]}
    mention = {"example_id": "m1", "entity_id": "Q1", "mention_span": {"start": 9, "end": 13, "text": "Rome"}}
    pair = {"contextual_mention": {"context": context, "mention": mention}, "entity": entity}
    rows = [r.values for r in read("mewslix", [file("pairs.jsonl", json.dumps(pair))], "en", what="pairs")]
    assert rows == [
        {
            "id": "m1",
            "kind": "pair",
            "query": "Rome: A (b) c. { Rome } fell.",
            "candidate": "One. Two.",
            "positives": ["Q1"],
        }
    ]
    rows = [r.values for r in read("mewslix", [file("e.jsonl", json.dumps(entity))], "all", what="entities")]
    assert rows == [{"id": "Q1", "kind": "candidate", "query": "", "candidate": "One. Two.", "positives": []}]
    mention["mention_span"] = {"start": 0, "end": 4, "text": "Rome"}
    with pytest.raises(DataError, match=r"p\.jsonl:1: mention m1: 'Rome' is not at character 0"):
        list(read("mewslix", [file("p.jsonl", json.dumps(pair))], "en", what="pairs"))
    with pytest.raises(DataError, match=r"p\.jsonl:1: is none of Mewsli-X's entities: KeyError"):
        list(read("mewslix", [file("p.jsonl", json.dumps(pair))], "all", what="entities"))


def test_running_text(file: File) -> None:
    path = file("wiki.train.raw", " \n = Title = \n \n A paragraph . \n = = Part = = \nAnother\n")
    assert [(r.line, r.values["text"]) for r in read("text", [path], "en")] == [(4, "A paragraph ."), (6, "Another")]
