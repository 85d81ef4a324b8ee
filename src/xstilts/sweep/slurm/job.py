"""Inside a job: one stage, under the claim that was taken for it before it was queued.

Slurm says stop in two ways. The user's signal (USR2, before the time limit or a preemption) and TERM (a preemption, or
`scancel`) both let the stage save its state at the end of the step. Then the job goes back to the queue under its own
id, so that what depends on it keeps waiting; unless somebody cancelled it.

Of a job with several tasks every one calls this. The first does what is said above; the others train with it, and say
and write nothing. They need not save: a state holds nothing that is one task's own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts import files
from xstilts.errors import UserError
from xstilts.store import Claim, Folder, Store
from xstilts.sweep.slurm import queue, ranks

if TYPE_CHECKING:
    from xstilts.model.parallel import Group

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class StageJob:
    """What submitit carries to the node and calls there. Raises what makes Slurm see a failure as a failure."""

    stage: str  # its folder
    claim: int
    read: tuple[str, ...]  # further stores
    keep: str  # which weights stay
    tries: int  # how often the job may go back to the queue

    def __call__(self) -> str:
        stop = listen()
        from xstilts.model.parallel import joined

        with joined(ranks.place()) as group:
            return self._do(stop, group) if group.first else self._follow(stop, group)

    def _follow(self, stop: threading.Event, group: Group) -> str:
        """The part of the other tasks."""
        from xstilts.work.follow import follow

        status = follow(stop, group)
        print(f"{Path(self.stage).name}: {status}, says the first task", flush=True)
        return status

    def _do(self, stop: threading.Event, group: Group) -> str:
        from xstilts.work.run import do

        folder, events = Folder(Path(self.stage)), list[dict[str, Any]]()
        request = {"stage": self.stage, "read": list(self.read), "claim": self.claim}
        status = do(request, events.append, stop, group)
        print(f"{folder.root.name}: {status}", flush=True)
        claim = folder.root / "claims" / f"{self.claim}.json"
        if status == "stopped" and hand_over(self.tries):
            files.write_json(claim, {**files.read_json(claim), "ended": "TIMEOUT"})
        if status != "fenced":
            Claim(claim, {}).release()
        if status not in ("done", "reused"):
            raise RuntimeError(f"{status}: {events[-1]['error'] or 'another job has taken over'}")
        self._evict(folder)
        return status

    def checkpoint(self) -> Any:
        """What submitit queues again when the signal comes before we listen ourselves."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _evict(self, folder: Folder) -> None:
        """Weights that this stage was the last to need go, as `keep=` says: no driver is there to do it."""
        from xstilts.sweep.retention import evict_upstream

        store = Store(folder.root.parents[1], [Path(p) for p in self.read])
        try:
            evict_upstream(store, folder, self.keep)
        except OSError as error:  # the stage is done, whatever becomes of the disk
            print(f"weights were not removed: {error}", file=sys.stderr)


def listen() -> threading.Event:
    """An event that is set when Slurm wants us to stop."""
    stop = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    return stop


def number() -> str:
    """The id of this job: of the right element, where it is one of an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def hand_over(tries: int) -> bool:
    """Put this job back into the queue and leave; return when it may not go back.

    True when it was there too many times, False when it was cancelled or the controller did not take it.
    """
    restarts, state = int(os.environ.get("SLURM_RESTART_COUNT", 0)), _state()
    if state != "RUNNING":
        print(f"saved, and not queued again: the job is {state}", flush=True)
        return False
    if restarts >= tries:
        print(f"saved, and not queued again: {restarts} times are enough (max_num_timeout)", flush=True)
        return True
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    try:
        queue.call("scontrol", "requeue", number())
    except UserError as error:
        print(f"saved, and could not be queued again: {error}", file=sys.stderr, flush=True)
        return False
    print(f"saved, and queued again ({restarts + 1} of {tries})", flush=True)
    sys.exit(0)  # past submitit's handlers: the job has no result yet


def _state() -> str:
    """Of this job, as the controller has it: RUNNING even while it is being preempted, not so once it is cancelled."""
    try:
        return queue.call("squeue", "-h", "-j", number(), "-o", "%T").strip() or "ENDED"
    except UserError as error:
        return str(error)
