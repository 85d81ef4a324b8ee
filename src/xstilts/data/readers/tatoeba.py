"""Tatoeba as LASER ships it: two files, line i of one is the translation of line i of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row
from xstilts.errors import DataError


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    """`paths` is the language's side, then the English one."""
    source, target = paths
    both = zip_longest(lines(source), lines(target))
    for number, (left, right) in enumerate(both, 1):
        if left is None or right is None:
            short, long = (source, target) if left is None else (target, source)
            reason = f"ends before line {number}, and its translations {long.name} go on: the sides do not correspond"
            raise DataError(short, reason, number)
        for path, (_, text) in ((source, left), (target, right)):
            if not text.strip():
                raise DataError(path, "is an empty line", number)
        yield Row(source, number, {"source": left[1], "target": right[1]})
