"""What a person did wrong, as opposed to what this software did wrong.

A `UserError` is printed as its message alone, and the process exits with 2; anything else keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake of the user's, in one message that says what to do."""


class DataError(UserError):
    """A file that is not what it should be: names the file, the line (from 1) or record, and the reason."""

    def __init__(self, path: Path | str, reason: str, line: int | None = None) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {reason}")


def choices(word: str, valid: Iterable[str]) -> str:
    """`valid choices: a, b, c` with the nearest one first said, for the end of an error message."""
    names = sorted(set(valid))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}valid choices: {', '.join(names)}"
