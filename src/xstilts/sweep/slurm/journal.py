"""Submissions on record: what a driver was about to do, so that its death in between is repaired by the next command.

STORE/slurm/NAME.json. NAME is also the name of the arrays until their elements are known: `squeue --name` finds a job
whose id was never written down.

    submitting -> complete (dependencies are set, nothing runs yet) -> released
    submitting -> withdrawn;  released -> cancelled
"""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts import files, owner
from xstilts.store import Claim, Folder, Store
from xstilts.sweep.slurm import queue

#: In the environment of a job that submits what did not fit in before: the name of the first submission.
WAVE = "XSTILTS_WAVE"

#: What scontrol says of a job that was cancelled before its release.
_OVER = re.compile("already finished|invalid job id", re.IGNORECASE)


@dataclass
class Submission:
    """One call of the launcher."""

    path: Path
    state: str
    sweep: str
    driver: dict[str, Any]
    cluster: str
    code: str  # name of the snapshot
    stages: list[str]  # that are or will be claimed
    arrays: list[str]  # job ids, of whole arrays
    jobs: dict[str, str]  # stage -> job id
    wave: str  # name of the first submission, where this one goes on with what did not fit in

    @property
    def name(self) -> str:
        return self.path.stem

    def save(self, state: str | None = None) -> None:
        self.state = state or self.state
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(self.path, {key: value for key, value in vars(self).items() if key != "path"})

    def beat(self) -> None:
        """A sign of life of the driver, for other hosts' `repair`."""
        os.utime(self.path)

    def withdraw(self, store: Store) -> None:
        """Take back what was not released: its jobs, then its claims."""
        queue.cancel(sorted({*self.arrays, *queue.named(self.name)}))
        for stage in self.stages:
            folder = Folder(store.root / "stages" / stage)
            holder = folder.owner()
            if holder is not None and holder.get("submission") == self.name:
                Claim(folder.claims()[-1], holder).release()
        self.save("withdrawn")

    def release(self) -> None:
        """Let everything start."""
        for number in self.arrays:
            try:
                queue.call("scontrol", "release", number)
            except queue.Refused as refused:
                if not _OVER.search(str(refused)):
                    raise
        self.save("released")


def start(store: Store, sweep: str, code: str, stages: list[str]) -> Submission:
    """A record that says what is intended, before anything is done."""
    path = store.root / "slurm" / f"xstilts-{uuid.uuid4().hex[:10]}.json"
    wave = os.environ.get(WAVE) or path.stem
    submission = Submission(path, "submitting", sweep, owner.process(), queue.cluster(), code, stages, [], {}, wave)
    submission.save()
    return submission


def every(store: Store) -> list[Submission]:
    """All submissions of a store, oldest first."""
    paths = sorted((store.root / "slurm").glob("xstilts-*.json"), key=lambda p: (p.stat().st_mtime, p.name))
    return [Submission(path, **files.read_json(path)) for path in paths]


def repair(store: Store) -> list[str]:
    """Finish or take back what a dead driver of mine left half done on this cluster. Returns what was done."""
    told = []
    for submission in every(store):
        driver = submission.driver
        mine = driver["user"] == owner.user() and submission.cluster == queue.cluster()
        half = submission.state in ("submitting", "complete")
        if not half or not mine or owner.alive(driver, _age(submission)):
            continue
        if submission.state == "complete":
            submission.release()
            told.append(f"{submission.name}: its driver died before it released its jobs; released now")
        else:
            submission.withdraw(store)
            told.append(f"{submission.name}: its driver died while submitting; taken back")
    return told


def _age(submission: Submission) -> float:
    """Seconds since its driver last wrote it."""
    return time.time() - submission.path.stat().st_mtime
