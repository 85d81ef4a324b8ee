"""Lines and records: cut at line feeds only, and every fault named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xstilts.data.readers.lines import columns, json_file, json_lines, lines
from xstilts.errors import DataError

File = Callable[..., Path]


def test_lines_are_cut_at_line_feeds_only(file: File) -> None:
    """Sentences of the real sets hold U+2028, U+0085 and form feeds."""
    path = file("a.txt", "one\u2028still\x85one\x0c!\r\ntwo\n\nfour")
    assert list(lines(path)) == [(1, "one\u2028still\x85one\x0c!"), (2, "two"), (3, ""), (4, "four")]


def test_other_encodings_are_named(file: File) -> None:
    with pytest.raises(DataError, match=r"latin\.txt:2: is not UTF-8 \(byte 4 of the line\)"):
        list(lines(file("latin.txt", "fine\ncafé\n".encode("latin-1"))))
    with pytest.raises(DataError, match=r"utf16\.txt:1: is not UTF-8"):
        list(lines(file("utf16.txt", "word".encode("utf-16"))))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}\n{"a": 2', r"cut\.jsonl:2: is not JSON"),
        ('{"a": 1}\n[1]\n', r"cut\.jsonl:2: is not a JSON object"),
    ],
)
def test_broken_records_are_named(file: File, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(json_lines(file("cut.jsonl", text)))


def test_broken_files_are_named(file: File) -> None:
    with pytest.raises(DataError, match=r"cut\.json:3: is not whole JSON"):
        json_file(file("cut.json", '{"data": [\n{"title": "a"},\n{"ti'))
    with pytest.raises(DataError, match=r"latin\.json:2: is not UTF-8"):
        json_file(file("latin.json", '{"data":\n"café"}'.encode("latin-1")))


def test_short_rows_are_named(file: File) -> None:
    with pytest.raises(DataError, match=r"a\.tsv:7: has 2 columns, where the header has 3"):
        columns(file("a.tsv", ""), 7, 'x\t"y', ["a", "b", "c"])
