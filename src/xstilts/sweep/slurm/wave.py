"""Where fewer jobs may be in the queue than a plan has: a job that submits the rest when some have ended.

It runs the command that was typed once more, from the frozen code. What an earlier wave has submitted is not submitted
again, however it ended: that is the user's to look at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from xstilts.store import Store
from xstilts.sweep.slurm import journal

LATER = 5  # minutes until the next look where not one job fitted in
_AGAIN = "import sys; from xstilts.sweep.entry import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class NextWave:
    """What the job does."""

    arguments: tuple[str, ...]  # of the command line
    folder: str  # in which it was typed
    first: str

    def __call__(self) -> int:
        from xstilts.sweep.slurm.queue import scrubbed

        with scrubbed():
            environment = {**os.environ, journal.WAVE: self.first}
        command = [sys.executable, "-c", _AGAIN, *self.arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, check=True).returncode


def following(entry: journal.Submission) -> NextWave:
    return NextWave(tuple(sys.argv[1:]), str(Path.cwd()), entry.wave)


def tried(entry: journal.Submission, store: Store) -> set[str]:
    """Stages that earlier waves have submitted; what was taken back before its release never ran."""
    return {stage for other in _before(entry, store) if other.state != "withdrawn" for stage in other.jobs}


def cancelled(entry: journal.Submission, store: Store) -> bool:
    """Whether somebody has cancelled the sweep since the first wave."""
    return any(other.state == "cancelled" for other in _before(entry, store))


def _before(entry: journal.Submission, store: Store) -> list[journal.Submission]:
    return [other for other in journal.every(store) if other.wave == entry.wave and other.name != entry.name]
