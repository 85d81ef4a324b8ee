"""One execution of a stage: its folder, its record, its signs of life."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xstilts import __version__, files, owner
from xstilts.model.parallel import ALONE, Group
from xstilts.stage import Stage
from xstilts.store import Fenced, Folder, forget_resume

BEAT = 20.0  # seconds between two signs of life
Report = Callable[[dict[str, Any]], None]


@dataclass
class Attempt:
    """What `train.run` and `evaluate.run` are given."""

    stage: Stage
    folder: Path  # attempts/N
    home: Folder  # of the stage
    sources: dict[str, Path]  # role -> folder of the upstream attempt that is used
    report: Report  # to whoever watches
    stop: threading.Event
    rerun: bool = False  # beside a published attempt, to be compared with it
    group: Group = ALONE  # the processes that do it together, of which the first one writes
    notes: dict[str, Any] = field(default_factory=dict)
    _told: float = 0.0

    def upstream(self, role: str) -> Path:
        """The attempt folder of the stage this one starts from."""
        return self.sources[role]

    @property
    def earlier(self) -> list[Path]:
        """Older attempts that this one continues, newest first: where a resume state may lie.

        A rerun continues only an interrupted rerun that started from the same attempts, never what it is compared with.
        """
        older = [p for p in reversed(self.home.attempts()) if int(p.name) < int(self.folder.name)]
        return [p for p in older if _kind(p) == ((self.rerun, self._sources) if self.rerun else (False, None))]

    def stopping(self) -> bool:
        """Whether to save the state at the end of this step and raise `Stopped`."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raises `Fenced` when a newer attempt exists: call before every write that a reader could take for ours."""
        newest = self.home.attempts()[-1]
        if newest != self.folder:
            raise Fenced(f"attempt {newest.name} of {self.stage.id} has taken over from {self.folder.name}")

    def saved(self) -> None:
        """The resume state of this attempt is whole: those of the attempts it continues are not needed any more."""
        for attempt in self.earlier:
            forget_resume(attempt)

    def progress(self, done: int, total: int) -> None:
        """Say how far we are; written and reported at most twice a second."""
        now = time.monotonic()
        if not self.group.first:
            return
        if now - self._told < 0.5 and done < total:
            return
        self._told = now
        event = {"done": done, "total": total}
        self.report({"event": "progress", **event})
        path = self.folder / "progress.json"
        temporary = path.with_suffix(".tmp")
        with suppress(OSError):  # it is only looked at: worth no fsync, and no failed training
            temporary.write_text(json.dumps({**event, "at": time.time()}))
            os.replace(temporary, path)

    def note(self, **facts: Any) -> None:
        """Facts for the record: tokens, seconds, peak memory, collapsed ..."""
        self.notes.update(facts)

    def write_record(self, status: str, **more: Any) -> None:
        """`record.json`: who, when, with what, and how it ended (running, done, failed, stopped, fenced)."""
        if not hasattr(self, "_record"):
            self._record = {**_context(self.stage), "rerun": self.rerun, "sources": self._sources}
        self._record = {**self._record, "status": status, **more, "notes": self.notes}
        files.write_json(self.folder / "record.json", self._record)

    @property
    def _sources(self) -> dict[str, str]:
        """role -> STAGE/ATTEMPT"""
        return {role: f"{path.parents[1].name}/{path.name}" for role, path in self.sources.items()}

    def beating(self) -> Beat:
        return Beat(self.folder / "record.json")


def _kind(attempt: Path) -> tuple[bool, dict[str, str] | None]:
    """Whether an attempt is a rerun, and from which attempts it started then."""
    try:
        record = files.read_json(attempt / "record.json")
    except FileNotFoundError:  # killed before its first word
        return False, None
    return (True, record["sources"]) if record.get("rerun") else (False, None)


class Beat:
    """A thread that touches a file while the block runs, so that another host can tell we are alive."""

    def __init__(self, path: Path) -> None:
        self.path, self.over = path, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self.over.wait(BEAT):
            with suppress(OSError):  # the next one may get through
                self.path.touch()

    def __enter__(self) -> Beat:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def _context(stage: Stage) -> dict[str, Any]:
    return {
        "stage": stage.id,
        "label": stage.label,
        "model": stage.about.get("model"),
        "user": owner.user(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "commit": _commit(),
        "versions": {
            "xstilts": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy", "pyarrow")},
        },
        "numerics": stage.numerics,
        "started": time.time(),
    }


@cache
def _commit() -> str | None:
    """The git commit of the code that runs, with `+` when files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        describe = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
