"""Which processes work for a sweep, for `do=cancel`: STORE/sweeps/.running/NAME/HOST.PID.json while they do.

Claims say who holds a stage; a stage may be held for another sweep, and a sweep may be waiting and hold none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xstilts import files, owner
from xstilts.store import Store


@contextmanager
def announced(store: Store, sweep: str) -> Iterator[None]:
    """Inside, this process is known to work for the sweep."""
    me = owner.process()
    path = _folder(store, sweep) / f"{me['host']}.{me['pid']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, me)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def working(store: Store, sweep: str) -> list[dict[str, Any]]:
    """Who works for a sweep now, as owners. Who was killed on this host is struck off; of another host nobody knows."""
    found = []
    for path in sorted(_folder(store, sweep).glob("*.json")):
        who = files.read_json(path)
        if owner.alive(who, silence=0.0):
            found.append(who)
        else:
            path.unlink(missing_ok=True)
    return found


def _folder(store: Store, sweep: str) -> Path:
    return store.root / "sweeps" / ".running" / sweep
