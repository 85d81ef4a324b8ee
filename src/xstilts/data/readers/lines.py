"""Text files as lines and records, with every fault named by file and line."""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, cast

from xstilts.errors import DataError


def lines(path: Path, member: str = "*") -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line, cut at line feeds only: some sentences hold other line separators.

    Of a compressed file too; `member` says which file of a tar archive.
    """
    number = 0
    try:
        with _opened(path, member) as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(path, f"is not UTF-8 (byte {error.start + 1} of the line)", number) from None
                yield number, text.removesuffix("\n").removesuffix("\r")
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(path, f"is not a whole archive ({error})", number + 1) from None
    if number == 0 and path.stat().st_size == 0:  # an archive of nothing is whole: shards of the hub may be
        raise DataError(path, "is empty")


@contextmanager
def _opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    """A file to read bytes from; of a tar archive the one whose name fits `member`."""
    if path.name.endswith((".tar.gz", ".tgz", ".tar")):
        with tarfile.open(path) as archive:
            fitting = [one for one in archive if one.isfile() and fnmatchcase(Path(one.name).name, member)]
            if len(fitting) != 1:
                names = ", ".join(archive.getnames()) or "nothing"
                raise DataError(path, f"should have one file {member!r}, and has {names}")
            inner = archive.extractfile(fitting[0])
            assert inner is not None  # it is a file
            with inner:
                yield inner
    else:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield cast(IO[bytes], file)


def json_lines(path: Path, member: str = "*") -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of every line."""
    for number, line in lines(path, member):
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
