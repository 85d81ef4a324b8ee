"""Which processes work for a sweep, for `do=cancel`: STORE/sweeps/.running/NAME/HOST.PID.json while they do.

Claims say who holds a stage; a stage may be held for another sweep, and a sweep may be waiting and hold none.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xstilts import files, owner
from xstilts.errors import UserError
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


def stop(store: Store, sweep: str) -> list[str]:
    """Ask who works for a sweep on this host to save its running stages and stop; a line each of what was done.

    Raises `UserError` where it is another user's process.
    """
    told = []
    for who in working(store, sweep):
        if who["host"] != socket.gethostname():
            told.append(f"{owner.describe(who)} works for it too: give do=cancel there")
            continue
        try:
            os.kill(who["pid"], signal.SIGTERM)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise UserError(f"only {who['user']} can stop {owner.describe(who)}") from None
        told.append(f"asked {owner.describe(who)} to save the running stages of sweep {sweep} and stop")
    return told


def _folder(store: Store, sweep: str) -> Path:
    return store.root / "sweeps" / ".running" / sweep
