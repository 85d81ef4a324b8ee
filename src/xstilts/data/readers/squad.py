"""Questions about paragraphs in SQuAD's JSON: SQuAD 1.1 and 2.0, XQuAD, MLQA, TyDiQA-GoldP, XQuAD-R."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from json import loads
from pathlib import Path
from typing import Any

from xstilts.data.readers.lines import json_file
from xstilts.data.rows import Row
from xstilts.errors import DataError

TYDI = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "fi": "finnish",
    "id": "indonesian",
    "ko": "korean",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
}


def read(
    paths: Sequence[Path],
    language: str,
    without_xquad: bool = False,
    by_id: bool = False,
    share: Sequence[int] = (0, 100),
) -> Iterator[Row]:
    """The questions of one part.

    `without_xquad` leaves out the paragraphs that XQuAD translates and tests on; `by_id` keeps the questions whose id
    starts with the language's name, as in TyDiQA; `share` keeps the paragraphs whose hash falls into that range of
    percent, which cuts one file into two parts without a paragraph in common.
    """
    for path in paths:
        for paragraph in paragraphs(path):
            context = paragraph["context"]
            for question in paragraph["qas"]:
                if kept(context, str(question["id"]), language, without_xquad, by_id, share):
                    yield Row(path, None, checked(path, context, question))


def kept(context: str, name: str, language: str, without_xquad: bool, by_id: bool, share: Sequence[int]) -> bool:
    """Whether a question belongs to the part."""
    if by_id and not name.startswith(f"{TYDI[language]}-"):
        return False
    return not (without_xquad and in_xquad(context)) and share[0] <= percent(context) < share[1]


def paragraphs(path: Path) -> Iterator[dict[str, Any]]:
    """Every paragraph of the file with its questions; they have the fields every reader needs."""
    content = json_file(path)
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                _ = paragraph["context"]
                for question in paragraph["qas"]:
                    _ = question["id"], question["question"]
                    _ = [(answer["text"], answer["answer_start"]) for answer in question.get("answers", [])]
                yield paragraph
    except (KeyError, TypeError) as error:
        raise DataError(path, f"is not in SQuAD's layout ({type(error).__name__}: {error})") from None


def checked(path: Path, context: str, question: dict[str, Any]) -> dict[str, Any]:
    """As `item`; what is wrong with it is said of its file."""
    try:
        return item(context, question)
    except ValueError as error:
        raise DataError(path, str(error)) from None


def item(context: str, question: dict[str, Any]) -> dict[str, Any]:
    """One question in the columns of the span format. Raises `ValueError` when its answer is not in its paragraph."""
    name = str(question["id"])
    answers = [{"text": a["text"], "start": a["answer_start"]} for a in question.get("answers", [])]
    impossible = question.get("is_impossible", False)
    if not impossible and not any(answer["text"] for answer in answers):
        raise ValueError(f"question {name} has no answer; XTREME takes them out of its copies, read the original")
    for answer in answers:
        start = answer["start"]
        if not impossible and context[start : start + len(answer["text"])] != answer["text"]:
            raise ValueError(f"question {name}: the answer {answer['text']!r} is not at character {start}")
    return {"id": name, "context": context, "question": question["question"], "answers": [] if impossible else answers}


@lru_cache(maxsize=4)  # the questions of a paragraph follow each other
def fingerprint(context: str) -> str:
    """Of a paragraph's letters and digits: the same whatever white space and quotes a release has."""
    letters = "".join(character for character in context.casefold() if character.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()[:12]


def percent(context: str) -> int:
    """0..99 by a paragraph's fingerprint."""
    return int(fingerprint(context), 16) % 100


@cache
def _xquad() -> frozenset[str]:
    return frozenset(loads((files("xstilts.data.readers") / "xquad_paragraphs.json").read_text()))


def in_xquad(context: str) -> bool:
    """Whether XQuAD, and so LAReQA, tests on a translation of this English paragraph."""
    return fingerprint(context) in _xquad()
