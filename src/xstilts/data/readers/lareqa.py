"""LAReQA: which sentence, of whatever language, answers a question? XQuAD-R to test on, SQuAD 1.1 to train on.

A candidate is a sentence followed by its whole paragraph, without line feeds, as XTREME-R encodes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from xstilts.data.readers.sentences import sentences
from xstilts.data.readers.squad import checked, fingerprint, kept, paragraphs
from xstilts.data.rows import Row
from xstilts.errors import DataError

Span = Sequence[int]


def read(paths: Sequence[Path], language: str, pairs: bool = False, without_xquad: bool = False) -> Iterator[Row]:
    """With `pairs`, questions and their sentences of SQuAD's files. Otherwise the questions and all candidates of one
    language of XQuAD-R; `paths` are then its files in all languages, since any of them may hold an answer."""
    if pairs:
        for path in paths:
            yield from _pairs(path, language, without_xquad)
        return
    right: dict[str, list[str]] = {}
    for path in paths:
        for question, candidate in _answers(path):
            right.setdefault(question, []).append(candidate)
    for path in paths:
        if path.stem == language:
            yield from _questions(path, right)
            yield from _candidates(path)


def _pairs(path: Path, language: str, without_xquad: bool) -> Iterator[Row]:
    for paragraph in paragraphs(path):
        context = paragraph["context"]
        for question in paragraph["qas"]:
            if kept(context, str(question["id"]), language, without_xquad, False, (0, 100)):
                values = pair(checked(path, context, question))
                if values is not None:
                    yield Row(path, None, values)


def pair(question: dict[str, Any]) -> dict[str, Any] | None:
    """A question of the span format with the sentence that holds its first answer; None where that is between two."""
    context = question["context"]
    spans = _sentences(context)
    place = _sentence(spans, question["answers"][0]["start"])
    if place is None:
        return None
    return {
        "id": question["id"],
        "kind": "pair",
        "query": question["question"],
        "candidate": _candidate(context, spans[place]),
        "positives": [f"{fingerprint(context)}-{place}"],
    }


@lru_cache(maxsize=4)  # the questions of a paragraph follow each other
def _sentences(context: str) -> list[tuple[int, int]]:
    return sentences(context)


def _questions(path: Path, right: dict[str, list[str]]) -> Iterator[Row]:
    for paragraph in paragraphs(path):
        for question in paragraph["qas"]:
            name, text = str(question["id"]), question["question"]
            if name in right:
                values = {"id": name, "kind": "query", "query": text, "candidate": "", "positives": right[name]}
                yield Row(path, None, values)


def _candidates(path: Path) -> Iterator[Row]:
    for number, paragraph in enumerate(paragraphs(path)):
        for place, span in enumerate(_breaks(path, paragraph)):
            text = _candidate(paragraph["context"], span)
            name = f"{path.stem}-{number}-{place}"
            yield Row(path, None, {"id": name, "kind": "candidate", "query": "", "candidate": text, "positives": []})


def _answers(path: Path) -> Iterator[tuple[str, str]]:
    """Every question of a language's file, with each candidate that reads as its answer's sentence does."""
    for number, paragraph in enumerate(paragraphs(path)):
        context, spans = paragraph["context"], _breaks(path, paragraph)
        for question in paragraph["qas"]:
            start = checked(path, context, question)["answers"][0]["start"]
            place = _sentence(spans, start)
            if place is not None:
                sentence = context[slice(*spans[place])]
                same = [i for i, span in enumerate(spans) if context[slice(*span)] == sentence]
                yield from ((str(question["id"]), f"{path.stem}-{number}-{i}") for i in same)


def _breaks(path: Path, paragraph: dict[str, Any]) -> list[Span]:
    if "sentence_breaks" not in paragraph:
        raise DataError(path, "has a paragraph without sentence_breaks: it is not XQuAD-R")
    return paragraph["sentence_breaks"]


def _sentence(spans: Sequence[Span], start: int) -> int | None:
    """The sentence a character is in; None where it lies between sentences."""
    return next((place for place, (begin, end) in enumerate(spans) if begin <= start < end), None)


def _candidate(context: str, span: Span) -> str:
    return (context[slice(*span)] + context).replace("\n", "")
