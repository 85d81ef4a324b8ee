"""The training's side of the mirror: it names the attempt to a process of its own, and goes on.

Nothing here waits for anybody while a stage runs; see `xstilts.tracking.follow` for the other side.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds at the end of a process for the last rows; then they are left to do=publish


class Live:
    """The follower of this process, once a stage wants one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.settings = ""
        self.say: Callable[[str], None] = lambda text: None  # what a person should hear once

    def follow(self, tracker: dict[str, Any], attempt: Path) -> None:
        """Have an attempt followed that has a record by now."""
        settings = json.dumps(tracker)
        try:
            if self.process is None or self.process.poll() is not None or settings != self.settings:
                self._leave()
                self._start(settings)
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps({"attempt": str(attempt), "pid": os.getpid()}) + "\n")
        except (OSError, ValueError) as error:  # no memory for a process, or it is gone: no reason to stop a training
            self.say(f"W&B: its process cannot be reached ({error}); do=publish makes it good later")

    def _start(self, settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xstilts.tracking.follow", settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            start_new_session=True,  # what stops the training does not stop it
        )
        self.settings = settings
        threading.Thread(target=self._listen, args=[self.process], daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(line.rstrip("\n"))

    def close(self) -> None:
        """Nothing more comes; wait a little for the last rows."""
        self._leave()
        if self.process is None:
            return
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.say(f"W&B: the last rows were not taken within {PATIENCE:.0f} s; do=publish makes it good later")
            self.process.kill()
            self.process.wait()
        self.process = None

    def _leave(self) -> None:
        """Tell the follower that nothing more comes."""
        if self.process is not None and self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


LIVE = Live()
atexit.register(LIVE.close)
