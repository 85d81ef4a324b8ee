"""Writing so that a reader, or a kill, never sees half of it: temporary name, fsync, rename.

Temporary names start with a dot and are this process's own, so that two writers never share one.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _sync(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, or leave it as it was."""
    temporary = _temporary(path)
    try:
        temporary.write_bytes(data)
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def create_bytes(path: Path, data: bytes) -> bool:
    """Create `path` with `data` in one step; False, and nothing written, if it is there already.

    A hard link is atomic and exclusive on NFS too, where O_EXCL has not always been.
    """
    temporary = _temporary(path)
    try:
        temporary.write_bytes(data)
        _sync(temporary)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)
    return True


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, json.dumps(value, indent=1, ensure_ascii=False).encode())


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes when it does not.

    An older `path` is moved aside first and deleted last: at no moment are both gone, and a reader that finds
    `path` missing for an instant finds the old one under `.old` (see `recover`).
    """
    temporary = _temporary(path)
    temporary.mkdir(parents=True)
    old = path.with_name(f".{path.name}.old")
    try:
        yield temporary
        settle(temporary)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(path, old)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def settle(path: Path) -> None:
    """Force all of a folder to the disk, readable by whom the folder is. For who writes into another's `folder`."""
    for name in path.rglob("*"):
        if name.is_file():  # safetensors, for one, lets nobody else read what it writes
            name.chmod(path.stat().st_mode & 0o666)
        _sync(name)
    _sync(path)


def remove(path: Path) -> int:
    """Delete a file or a folder, renamed first so that nobody finds half of it. Returns the bytes it had.

    Nothing happens when somebody else is faster.
    """
    gone = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.gone")
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        return 0
    if not gone.is_dir():
        size = gone.stat().st_size
        gone.unlink()
        return size
    size = sum(p.stat().st_size for p in gone.rglob("*") if p.is_file())
    shutil.rmtree(gone)
    return size


def follow_group(root: Path) -> None:
    """In a folder that a group shares, let the group read and write whatever this process makes from now on.

    Such a folder is one that the group may write and that hands its group down (setgid). Children inherit the rule.
    """
    mode = root.stat().st_mode if root.is_dir() else 0
    if mode & stat.S_ISGID and mode & stat.S_IWGRP:
        os.umask(os.umask(0o077) & ~stat.S_IRWXG)


def recover(path: Path) -> Path | None:
    """The newest whole version of a folder written by `folder`, or None."""
    old = path.with_name(f".{path.name}.old")
    return path if path.is_dir() else old if old.is_dir() else None
