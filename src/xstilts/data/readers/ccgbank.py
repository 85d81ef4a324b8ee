"""CCGbank (LDC2005T13): supertags from the leaves of its derivations, `<L CATEGORY POS POS word ...>` in AUTO files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row
from xstilts.errors import DataError

_LEAF = re.compile(r"<L (\S+) \S+ \S+ (\S+) \S+>")
_NODE = re.compile(r"<T [^>]*>")


def read(paths: Sequence[Path], language: str, known: Sequence[str], rest: str) -> Iterator[Row]:
    """A derivation a sentence. Categories that are not `known` are tagged `rest`."""
    categories = set(known)
    for path in paths:
        for number, line in lines(path):
            if line.startswith("("):
                leaves = _LEAF.findall(line)
                if len(leaves) != line.count("<L "):
                    raise DataError(path, "has a leaf that is not `<L CATEGORY POS POS word CATEGORY>`", number)
                brackets = _NODE.sub("", _LEAF.sub("", line))  # those of words and categories are gone
                if brackets.count("(") != brackets.count(")"):
                    raise DataError(path, "is a derivation that was cut off: its brackets do not close", number)
                tags = [category if category in categories else rest for category, _ in leaves]
                yield Row(path, number, {"tokens": [word for _, word in leaves], "tags": tags})
            elif not line.startswith("ID="):
                raise DataError(path, "is neither an ID line nor a derivation of CCGbank", number)
