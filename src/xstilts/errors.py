"""What a person did wrong, as opposed to what this software did wrong.

A `UserError` is printed as its message alone, and the process exits with 2; anything else keeps its traceback. What the
machine refuses, such as a full disk, is nobody's bug either: `refusal` puts it into a sentence.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

_TEMPORARY = re.compile(r"/\.([^/]+)\.[0-9a-f]{8}\.(tmp|gone)")  # see xstilts.files
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


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


def refusal(error: BaseException) -> str | None:
    """What the machine refused and what to do, in one line; None for any other error.

    Writers in Rust and C++ (safetensors, Arrow) raise errors of their own kind, which carry the system's words.
    """
    number = getattr(error, "errno", None)
    for full in map(os.strerror, _FULL):
        if full in str(error):
            return f"the disk is full ({full}): free some space, then the same command goes on"
    if isinstance(error, OSError) and number in _FORBIDDEN:
        path = _TEMPORARY.sub(r"/\1", str(error.filename or "the store"))
        return f"{path}: {error.strerror}"
    return None


def reason(error: BaseException) -> str:
    """Why something failed, in one line for tables; the traceback is another matter."""
    if isinstance(error, UserError):
        return str(error)
    first = next(iter(str(error).strip().splitlines()), "")
    return refusal(error) or f"{type(error).__name__}: {first}".removesuffix(": ")
