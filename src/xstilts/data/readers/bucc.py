"""BUCC 2018: two monolingual files of `id<TAB>sentence` and the gold pairs of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row
from xstilts.errors import DataError


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    """`paths` is the language's side, the English one, and the gold pairs."""
    source, target, gold = paths
    known = {name for path in (source, target) for _, name, _ in _cells(path)}
    translation: dict[str, str] = {}
    for number, left, right in _cells(gold):
        for name in (left, right):
            if name not in known:
                raise DataError(gold, f"the id {name!r} is in neither {source.name} nor {target.name}", number)
        translation[left], translation[right] = right, left
    for side, path in (("source", source), ("target", target)):
        for number, name, text in _cells(path):
            yield Row(path, number, {"id": name, "side": side, "text": text, "pair": translation.get(name)})


def _cells(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in lines(path):
        left, tab, right = line.partition("\t")
        if not tab or not left or not right:
            raise DataError(path, "is not two columns with a tab between them", number)
        yield number, left, right
