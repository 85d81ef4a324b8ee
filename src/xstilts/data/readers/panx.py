"""WikiANN as distributed: a token a line as `language:token<TAB>tag`, an empty line after every sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row
from xstilts.errors import DataError


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    for path in paths:
        tokens: list[str] = []
        tags: list[str] = []
        for number, line in lines(path):
            if not line.strip():
                if tokens:
                    yield Row(path, number - len(tokens), {"tokens": tokens, "tags": tags})
                tokens, tags = [], []
                continue
            cells = line.split("\t")
            code, colon, token = cells[0].partition(":")
            if len(cells) != 2 or not colon or not code:
                raise DataError(path, "is not `language:token<TAB>tag` (XTREME's prepared copies are not read)", number)
            tokens.append(token.strip())
            tags.append(cells[1].strip())
        if tokens:
            yield Row(path, number - len(tokens) + 1, {"tokens": tokens, "tags": tags})
