"""Predictions and references that were made elsewhere, read as the official scripts read them.

These cut at every kind of line end and take white space off both ends of a line. What they would score silently wrong,
or stop at without saying where, is a `DataError` naming file and line.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from xstilts.data.readers.lines import json_file, json_lines
from xstilts.errors import DataError, UserError, choices

ROWS = 65536  # of an array at a time


def text_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8, blank ones too, without their ends."""
    data = _there(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(path, f"is not UTF-8 (byte {error.start + 1} of the file)", line) from None
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def labels(path: Path, column: str | None = None) -> list[str]:
    """One label a line: the whole line, one column of it, or in .jsonl the field `label` of the line's object."""
    if path.suffix != ".jsonl":
        return [cell for _, cell in _cells(path, column)]
    found = []
    for number, record in json_lines(_there(path)):
        label = record.get("label")
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise DataError(path, f"the field 'label' is {label!r}, neither a whole number nor a text", number)
        found.append(str(label))
    return found


@dataclass(frozen=True)
class Tags:
    """Of every sentence, its tags and the number of the line that the first of them is in; and the last line's."""

    sentences: list[list[str]]
    lines: list[int]
    end: int


def tags(path: Path, column: str | None = None) -> Tags:
    """One tag a line; a blank line ends a sentence, so that two of them have a sentence without words between them."""
    sentences: list[list[str]] = []
    lines: list[int] = []
    sentence: list[str] = []
    number = 0
    for number, tag in _cells(path, column):
        if not tag:
            sentences.append(sentence)
            lines.append(number - len(sentence))
            sentence = []
        elif len(tag.split()) > 1:
            raise DataError(path, f"is not one tag but {tag!r}; if it is a column of the line, give --column", number)
        else:
            sentence.append(tag)
    if sentence:
        sentences.append(sentence)
        lines.append(number - len(sentence) + 1)
    return Tags(sentences, lines, number)


def pairs(path: Path) -> list[tuple[str, str]]:
    """Two ids a line with a tab between them."""
    found = []
    for number, line in enumerate(text_lines(path), 1):
        cells = line.strip().split("\t")
        if len(cells) != 2 or not all(cells):
            raise DataError(path, "is not two ids with a tab between them", number)
        found.append((cells[0], cells[1]))
    return found


@dataclass(frozen=True)
class Question:
    """What SQuAD's layout says of one."""

    id: str
    answers: list[str]

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.id, *self.answers)):
            raise TypeError(f"the id or an answer of question {self.id!r} is no text")


def questions(path: Path) -> list[Question]:
    """Of a JSON in SQuAD's layout, in its order; a list of articles without a head will do, as for XTREME."""
    content = json_file(_there(path))
    found = []
    try:
        for article in content["data"] if isinstance(content, dict) else content:
            for paragraph in article["paragraphs"]:
                found += [Question(q["id"], [a["text"] for a in q["answers"]]) for q in paragraph["qas"]]
    except (KeyError, TypeError) as error:
        raise DataError(path, f"is not in SQuAD's layout ({type(error).__name__}: {error})") from None
    if not found:
        raise DataError(path, "has no question")
    if all(question.answers and not any(question.answers) for question in found):
        raise DataError(path, "has no answers: XTREME takes them out of its copies of test sets; give the original")
    return found


def answers(path: Path) -> dict[str, str]:
    """A JSON object of question id: text."""
    return _typed(path, str, "a text")


def probabilities(path: Path) -> dict[str, float]:
    """A JSON object of question id: number."""
    found: dict[str, float] = _typed(path, (int, float), "a number")
    for name, value in found.items():
        if not isfinite(value):
            raise DataError(path, f"{name!r}: {value} is not finite")
    return found


def ranked(path: Path) -> dict[str, list[str]]:
    """A JSON object of query id: list of candidate ids."""
    found: dict[str, list[str]] = _typed(path, list, "a list of ids")
    for name, ids in found.items():
        if not all(isinstance(one, str) for one in ids):
            raise DataError(path, f"{name!r}: {ids!r:.60} is not a list of texts")
    return found


def embeddings(path: Path) -> np.ndarray:
    """A vector a row, float [N, D], left on the disk."""
    try:
        array = np.load(_there(path), mmap_mode="r", allow_pickle=False)
    except Exception as error:  # of a broken header it raises whatever Python's tokenizer and parser do
        raise DataError(
            path, f"is no array of numpy ({(str(error) or type(error).__name__).splitlines()[0]})"
        ) from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        shape = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else "several arrays"
        raise DataError(path, f"is not one vector a row but {shape}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    for first in range(0, len(array), ROWS):
        finite = np.isfinite(array[first : first + ROWS]).all(axis=1)
        if not finite.all():
            raise DataError(path, f"row {first + int(finite.argmin())} (from 0) has a value that is not finite")
    return array


def gold_rows(path: Path, queries: int, candidates: int) -> list[set[int]]:
    """Of every query row, its gold candidate rows, all from 0.

    A line of the file is a query row and a candidate row; or a candidate row alone, the gold one of the query row that
    has the line's place.
    """
    golds: list[set[int]] = [set() for _ in range(queries)]
    for number, line in enumerate(text_lines(path), 1):
        cells = line.strip().split("\t")
        if len(cells) > 2 or not all(cell.isdecimal() for cell in cells):
            raise DataError(path, "is not a query row and a candidate row with a tab between them", number)
        query, candidate = (int(cells[0]), int(cells[1])) if len(cells) == 2 else (number - 1, int(cells[0]))
        if query >= queries or candidate >= candidates:
            have = f"rows 0 to {queries - 1} ask and 0 to {candidates - 1} are searched"
            raise DataError(path, f"{query} and {candidate} are not both there: {have}", number)
        golds[query].add(candidate)
    return golds


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    return path


def _typed(path: Path, types: type | tuple[type, ...], what: str) -> dict[str, Any]:
    content = json_file(_there(path))
    if not isinstance(content, dict):
        raise DataError(path, f"is not a JSON object of id: {what}")
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, types):
            raise DataError(path, f"{name!r}: {value!r:.60} is not {what}")
    return content


def _cells(path: Path, column: str | None) -> list[tuple[int, str]]:
    """Number and text of every line, or of one column in a file that has columns.

    `column` counts from 1, or is a name in the file's first line, which is then no item.
    """
    numbered = list(enumerate(text_lines(path), 1))
    if column is None or not any("\t" in line for _, line in numbered):
        return [(number, line.strip()) for number, line in numbered]
    if re.fullmatch("[1-9][0-9]*", column):
        place = int(column) - 1
    else:
        header = [cell.strip() for cell in numbered.pop(0)[1].split("\t")]
        if column not in header:
            raise DataError(path, f"has no column {column!r}; {choices(column, header)}", 1)
        place = header.index(column)
    found = []
    for number, line in numbered:
        cells = line.split("\t") if line.strip() else [""] * (place + 1)  # a blank line ends a sentence
        if place >= len(cells):
            raise DataError(path, f"has {len(cells)} columns, and column {column} is asked for", number)
        found.append((number, cells[place].strip()))
    return found
