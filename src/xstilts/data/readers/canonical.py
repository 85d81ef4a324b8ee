"""Rows that are already in the columns of their format: JSON lines, or the library's own Parquet.

For data of one's own, such as translations: no reader has to be written for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.records import records
from xstilts.data.rows import Row


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    for path in paths:
        for number, record in records(path):
            yield Row(path, number, dict(record))
