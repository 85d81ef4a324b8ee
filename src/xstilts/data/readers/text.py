"""Running text, a paragraph a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row


def read(paths: Sequence[Path], language: str, headings: str = "=") -> Iterator[Row]:
    """Every line that is neither empty nor a heading, which WikiText sets between `headings` signs."""
    for path in paths:
        for number, line in lines(path):
            if line.strip() and not line.strip().startswith(headings):
                yield Row(path, number, {"text": line.strip()})
