"""The process that shows on W&B what a stage writes, while it is written: `python -m xstilts.tracking.follow SETTINGS`.

It reads attempt folders from standard input, a JSON object a line, and follows each until its record says that it has
ended. It is a process of its own so that nothing that a dashboard does, hang or die, ever reaches a training; and it
outlives a training that is killed for as long as it takes to send the last rows.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from xstilts import files
from xstilts.config import Tracker
from xstilts.store import Folder, Store
from xstilts.tracking import client, readback
from xstilts.tracking.entry import Asked, Tail, asked, entry, run_id
from xstilts.tracking.lock import alone

LOOK = 1.0  # seconds between two looks at a file
#: What a cluster tells every process of a job; ours has rows to send, and leaves when the training has.
DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
TAKEOVER = 15.0  # seconds that the follower of a killed attempt gets to leave


class Inbox:
    """What to follow next. `None` is the end: whoever we follow for has left."""

    def __init__(self) -> None:
        self.waiting: deque[dict[str, Any] | None] = deque()
        self.arrived = threading.Condition()

    def listen(self) -> None:
        for line in sys.stdin:
            self._put(json.loads(line))
        self._put(None)

    def _put(self, item: dict[str, Any] | None) -> None:
        with self.arrived:
            self.waiting.append(item)
            self.arrived.notify_all()

    def more(self, seconds: float) -> bool:
        """Whether something waits, at the latest after so many seconds."""
        with self.arrived:
            return self.arrived.wait_for(lambda: bool(self.waiting), seconds)

    def take(self) -> dict[str, Any] | None:
        with self.arrived:
            self.arrived.wait_for(lambda: bool(self.waiting))
            return self.waiting.popleft()


class Follower:
    """Follows one attempt after the other."""

    def __init__(self, tracker: Tracker, inbox: Inbox) -> None:
        self.tracker, self.inbox = tracker, inbox
        self._asked: dict[Path, tuple[dict[Path, float], Asked]] = {}

    def follow(self, attempt: Path, pid: int) -> None:
        """Send the rows of an attempt until it has ended, a later one waits, or a newer attempt has taken over."""
        home = Folder(attempt.parents[1])
        store = Store(home.root.parents[1])
        cells = self._cells(store).get(home.root.name, [])
        run = run_id(home.root.name, self.tracker.salt)
        with alone(store, run, TAKEOVER):
            begun = entry(attempt, cells, self.tracker.salt)
            tail = Tail(attempt / "metrics.jsonl")
            with client.opened(begun, self.tracker, store.root / "tracking", pid) as mirror:
                last = False
                while not last:
                    over = files.read_json(attempt / "record.json")["status"] != "running"
                    last = over or home.attempts()[-1] != attempt or self.inbox.more(LOOK)
                    mirror.send(tail.read())  # after the look: what was written before the end is sent
                ended = entry(attempt, cells, self.tracker.salt)
                mirror.send(tail.read())
                mirror.close(ended.summary, ended.status)
            if self.tracker.mode == "online":
                readback.check(ended, self.tracker)

    def _cells(self, store: Store) -> Asked:
        """Read anew when a sweep was recorded since."""
        stamps = {path: path.stat().st_mtime for path in (store.root / "sweeps").glob("*.yaml")}
        known = self._asked.get(store.root)
        if known is None or known[0] != stamps:
            known = self._asked[store.root] = (stamps, asked(store))
        return known[1]


def main(settings: str) -> None:
    for number in DEAF:
        signal.signal(number, signal.SIG_IGN)
    inbox = Inbox()
    threading.Thread(target=inbox.listen, daemon=True).start()
    follower = Follower(Tracker(**json.loads(settings)), inbox)
    said: set[str] = set()
    while (item := inbox.take()) is not None:
        attempt = Path(item["attempt"])
        try:
            follower.follow(attempt, item["pid"])
        except Exception as error:  # whatever it is, the next stage is followed too
            text = f"{client.trouble(error)}; do=publish makes it good later"
            with (attempt / "log.txt").open("a", encoding="utf-8") as log:
                log.write(text + "\n")
            if text not in said:
                said.add(text)
                print(text, flush=True)
    os._exit(0)  # a client that still waits for its server must not keep us


if __name__ == "__main__":
    main(sys.argv[1])
