"""What a cluster knows of a stage's job, for `do=status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xstilts import owner
from xstilts.sweep.slurm import owners, queue

ADVICE = {
    "OUT_OF_MEMORY": "do=retry asks for more memory",
    "TIMEOUT": "do=retry asks for more time",
    "NODE_FAIL": "its node died; do=retry goes on",
    "CANCELLED": "somebody cancelled it; do=retry goes on",
}


def waiting(holder: Mapping[str, Any]) -> str | None:
    """Of a living owner: why its job does not run yet, with its id; None when it runs."""
    if holder["job"] is None:
        return "being submitted"
    job = owners.look(dict(holder))
    if job is None:
        return f"job {holder['job']} on the cluster {holder['cluster']}, which cannot be asked from here"
    return None if job.state in ("RUNNING", "COMPLETING") else f"job {job.id}: {_reason(job)}"


def _reason(job: queue.Job) -> str:
    words = {"Dependency": "waits for what it starts from", "BeginTime": "queued again, starts in a moment"}
    return words.get(job.reason, job.reason if job.reason != "None" else job.state.lower())


def ended(holders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """How the jobs of dead owners ended, by stage, with what to do."""
    mine = {stage: h["job"] for stage, h in holders.items() if h["launcher"] == "slurm" and h["job"]}
    if not mine or not queue.present() or all(h["user"] != owner.user() for h in holders.values()):
        return {}
    known = queue.endings(mine.values())
    found = {}
    for stage, number in mine.items():
        if how := known.get(number):
            found[stage] = f"job {number} ended {how}; {ADVICE.get(how, 'see its log')}"
    return found
