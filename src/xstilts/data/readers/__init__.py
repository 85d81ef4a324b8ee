"""Readers of original distribution files, one module a format as it was published.

A reader takes the files of one part, in order, and gives its rows. What it cannot read it names: file, line, reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path

from xstilts.data.rows import Row
from xstilts.errors import UserError, choices

#: `read(paths, language, **options)`; the options are those of the task's YAML.
Reader = Callable[..., Iterator[Row]]

READERS = (
    "bucc",
    "canonical",
    "ccgbank",
    "conllu",
    "cosmos",
    "lareqa",
    "mewslix",
    "multiple_choice",
    "nli",
    "panx",
    "records",
    "squad",
    "tatoeba",
    "text",
    "tsv",
    "xnli",
)


def read(
    reader: str, paths: Sequence[Path], language: str, first: int | None = None, **options: object
) -> Iterator[Row]:
    """The rows of one part; no more than the `first` so many."""
    if reader not in READERS:
        raise UserError(f"no reader {reader!r}; {choices(reader, READERS)}")
    function: Reader = import_module(f"xstilts.data.readers.{reader}").read
    return islice(function(paths, language, **options), first)
