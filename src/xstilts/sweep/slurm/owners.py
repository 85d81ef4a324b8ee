"""A Slurm job as the owner of a claim, queued or running: is it alive?

An owner is recorded before its job exists, with the process that is about to submit it (`pid`), and gets its job's id
afterwards. Until then it lives as long as that process.
"""

from __future__ import annotations

import time
from typing import Any

from xstilts import owner
from xstilts.errors import UserError
from xstilts.sweep.slurm import queue

RECENT = 600.0  # seconds for which a claim may be younger than a list of jobs that is a little old
SILENT = 30.0  # seconds for which a controller that did not answer is not asked again about single jobs
_silent = 0.0


def intent(submission: str, sweep: str) -> dict[str, Any]:
    """An owner whose job is about to be submitted by this process."""
    return {
        **owner.process(),
        **{"launcher": "slurm", "cluster": queue.cluster(), "submission": submission, "sweep": sweep, "job": None},
    }


def alive(holder: dict[str, Any]) -> bool:
    """Whether the job is queued, held, running or about to be submitted.

    Whoever cannot ask the cluster believes that it is: nobody takes a stage away from a job that may be running.
    """
    if holder["job"] is None:
        return owner.alive({**holder, "launcher": "workstation"}, time.time() - holder.get("since", 0.0))
    found = look(holder)
    return found is None or found.live


def describe(holder: dict[str, Any]) -> str:
    return f"job {holder['job'] or '(being submitted)'} of {holder['user']} on the cluster {holder['cluster']}"


def look(holder: dict[str, Any]) -> queue.Job | None:
    """The job of an owner; None when the cluster cannot be asked. One that nobody knows any more has ended."""
    global _silent
    if not queue.present() or time.monotonic() < _silent:
        return None
    try:
        if queue.cluster() != holder["cluster"]:
            return None
        found = queue.jobs(holder["user"], patient=False).get(holder["job"])
        if found is None and time.time() - holder.get("since", 0.0) < RECENT:
            found = queue.jobs(holder["user"], fresh=True, patient=False).get(holder["job"])
        hidden = holder["user"] != owner.user() and "jobs" in queue.config().get("PrivateData", "")
    except UserError:
        _silent = time.monotonic() + SILENT
        return None
    if found is None and not hidden:
        return queue.Job(holder["job"], "ENDED", "", "")
    return found


owner.register("slurm", owner.Answers(alive, describe))
