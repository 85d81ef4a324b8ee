"""Text files as lines and records, with every fault named by file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xstilts.errors import DataError


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line, cut at line feeds only: some sentences hold other line separators."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(path, f"is not UTF-8 (byte {error.start + 1} of the line)", number) from None
            yield number, text.removesuffix("\n").removesuffix("\r")


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of every line."""
    for number, line in lines(path):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(path, f"is not JSON ({error.msg}, character {error.colno})", number) from None
        if not isinstance(value, dict):
            raise DataError(path, "is not a JSON object", number)
        yield number, value


def json_file(path: Path) -> Any:
    """A file that is one JSON value."""
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(path, f"is not UTF-8 (byte {error.start + 1})", line) from None
    except json.JSONDecodeError as error:
        raise DataError(path, f"is not whole JSON ({error.msg}, character {error.colno})", error.lineno) from None


def columns(path: Path, number: int, line: str, header: list[str]) -> dict[str, str]:
    """A line of a tab-separated file by its header; quotes are text, as in all of these files."""
    cells = line.split("\t")
    if len(cells) != len(header):
        raise DataError(path, f"has {len(cells)} columns, where the header has {len(header)}", number)
    return dict(zip(header, cells, strict=True))


def field(path: Path, number: int | None, record: dict[str, Any], name: str) -> Any:
    """One field of a record."""
    if name not in record:
        raise DataError(path, f"has no field {name!r}, only {', '.join(map(str, record))}", number)
    return record[name]
