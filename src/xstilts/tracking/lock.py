"""One writer a run: two clients that continue the same one would send its rows twice."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from xstilts.store import Store


class Busy(Exception):
    """Another process mirrors this run."""


@contextmanager
def alone(store: Store, run: str, patience: float = 0.0) -> Iterator[None]:
    """Hold STORE/tracking/locks/RUN; the system lets go of it whatever becomes of us. Raises `Busy`."""
    path = store.root / "tracking" / "locks" / run
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + patience
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Busy(f"{run}: another process mirrors it") from None
                time.sleep(0.2)
        yield
