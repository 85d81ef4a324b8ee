"""Real commands as real processes, in the toy world at its smallest, to be interrupted, killed and starved."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hydra.types import RunMode

from hydra_plugins.xstilts.launcher import WorkstationLauncher
from xstilts import files
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.sweep.check import check
from xstilts.sweep.command import command
from xstilts.sweep.compose import compose, loader

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "world=toy",
    "world.weights=null",  # one stage more, which is pretraining
    *(f"world.sizes.{split}={size}" for split, size in {"train": 32, "selection": 16, "dev": 8, "test": 8}.items()),
    "recipe=smoke",
    "recipe.common.steps=2",
    "numerics.device=cpu",
]
GRID = ["model=xl", "inter=mnli", "target=xnli,tatoeba"]  # with its baselines 4 cells of 7 stages
FIRST = ["model=xl", "inter=none", "target=tatoeba"]  # 2 of these stages
DEADLINE = 240.0  # seconds for anything, on a busy machine
DEFAULT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Launch:
    """`python launch.py ...` in the background, and whatever it starts."""

    def __init__(
        self,
        store: Path,
        *arguments: str,
        workers: int | None = 1,
        prefix: tuple[str, ...] = (),
        terminal: Terminal | None = None,
    ) -> None:
        self.mark = uuid.uuid4().hex  # in the environment of all its processes
        line = [*prefix, sys.executable, str(ROOT / "launch.py"), *SMALL, f"store={store}", *arguments]
        if workers:
            line.append(f"hydra.launcher.workers={workers}")
        self.process = subprocess.Popen(
            line,
            stdin=terminal.slave if terminal else subprocess.DEVNULL,
            stdout=terminal.slave if terminal else subprocess.PIPE,
            stderr=terminal.slave if terminal else subprocess.STDOUT,
            text=True,
            env={**os.environ, "XSTILTS_TEST": self.mark},
            preexec_fn=_in_terminal if terminal else _default_signals,
        )
        self.pid = self.process.pid
        self.said = ""

    def processes(self) -> list[psutil.Process]:
        """All that are alive, of this launch."""
        return [p for p in psutil.process_iter() if _environment(p).get("XSTILTS_TEST") == self.mark]

    def workers(self) -> list[psutil.Process]:
        return [p for p in self.processes() if "xstilts.work.run" in _line(p)]

    def wait(self) -> tuple[int, str]:
        """Its exit status and what it said; fails when it leaves anybody behind."""
        output, _ = self.process.communicate(timeout=DEADLINE)
        until(lambda: not self.processes(), "nobody is left behind", 10)
        return self.process.returncode, self.said + (output or "")

    def reads(self, text: str) -> None:
        """Wait until it has said this."""
        assert self.process.stdout
        while text not in self.said:
            assert select.select([self.process.stdout], [], [], DEADLINE)[0], f"waited {DEADLINE} s for {text!r}"
            # Not by the file object, whose buffer `communicate` would not see.
            got = os.read(self.process.stdout.fileno(), 65536).decode()
            assert got, f"ended before it said {text!r}: {self.said}"
            self.said += got

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition while this launch runs."""
        found = until(lambda: condition() or (self.process.poll() is not None and "ended"), what)
        assert found != "ended", f"ended before: {what}: {self.wait()}"
        return found

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


class Terminal:
    """A terminal of 100 columns for one launch, and what was written to it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (30, 100))
        self.text = ""
        self.open = True
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        while self.open:
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")

    def close(self) -> None:
        self.open = False
        self.reader.join()
        os.close(self.slave)
        os.close(self.master)


def launch(store: Path, *arguments: str, **options: Any) -> tuple[int, str]:
    """The exit status and what was said."""
    return Launch(store, *arguments, **options).wait()


def here(store: Path, *arguments: str) -> int:
    """The same in this process, which saves its imports: the exit status."""
    small = [] if "do=retry" in arguments else SMALL  # a sweep is run again as it was typed
    line = check([*small, f"store={store}", *arguments])
    found = loader()
    named = any(a.startswith("experiment=") for a in line)
    params = compose(found, line, mode=RunMode.MULTIRUN).hydra.sweeper.params if named else {}
    with pytest.raises(SystemExit) as end:
        command(line, params, found, "config", WorkstationLauncher(workers=1, tries=0))
    return int(str(end.value.code))


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait for a condition to be true, and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for: {what}")
        time.sleep(0.05)
    return found


def library(reference: Path, store: Path) -> Path:
    """A store with the filled library of another one, and nothing else."""
    shutil.copytree(reference / "library", store / "library")
    return store


def copy(reference: Path, store: Path) -> Path:
    """All of a store."""
    shutil.copytree(reference, store)
    return store


def attempts(store: Path) -> dict[str, int]:
    """How many attempts each stage has, by its label."""
    return {Stage.load(f.spec).label: len(f.attempts()) for f in Store(store).stages() if f.spec.exists()}


def stage(store: Path, label: str, seed: int = 0) -> Folder:
    """The folder of the stage with a label, of the cells with a seed."""
    found = {f.root.name: (f, Stage.load(f.spec)) for f in Store(store).stages() if f.spec.exists()}

    def seeds(one: Stage) -> set[int]:
        above = [seeds(found[u][1]) for u in one.upstream.values()]
        return {one.spec["seed"]} if "seed" in one.spec else set().union(*above)

    return next(f for f, one in found.values() if one.label == label and seeds(one) == {seed})


def results(store: Path) -> list[str]:
    """The lines of results.csv without the number of the attempt, which tells how it came about."""
    import pandas as pd

    frame = pd.read_csv(store / "results.csv", dtype=str, keep_default_na=False)
    return frame.drop(columns="attempt").to_csv(index=False).splitlines()


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """True inside the first block that is entered for a folder, by whatever process; the others wait and get False."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = not (folder / ".made").exists()
        yield first
        (folder / ".made").touch()


def scores(store: Path, label: str) -> bytes:
    """What an evaluation that is done has measured."""
    done = stage(store, label).published
    assert done is not None
    return (done / "scores.parquet").read_bytes()


def log(store: Path, label: str, number: int) -> str:
    return (stage(store, label).root / f"attempts/{number}/log.txt").read_text()


def process(pid: int, what: Callable[[psutil.Process], Any]) -> None:
    """Do something to a process, if it is still there."""
    with suppress(psutil.NoSuchProcess):
        what(psutil.Process(pid))


def record(attempt: Path) -> dict[str, Any]:
    return files.read_json(attempt / "record.json")


def _default_signals() -> None:
    """A shell without job control starts what runs in the background deaf to Ctrl-C."""
    for number in DEFAULT:
        signal.signal(number, signal.SIG_DFL)


def _in_terminal() -> None:
    _default_signals()
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
