"""`do=cancel` on a cluster: the jobs of a sweep, except those that another sweep is waiting for."""

from __future__ import annotations

from xstilts import owner
from xstilts.store import Store
from xstilts.sweep import sweeps
from xstilts.sweep.slurm import journal, owners, queue
from xstilts.sweep.sweeps import Sweep


def cancel(store: Store, sweep: Sweep) -> list[str]:
    """What was done, a line each; nothing where no job was ever submitted from this store, or not from this cluster."""
    entries = journal.every(store)
    if not entries or not queue.present():
        return []
    mine = [e for e in entries if e.driver["user"] == owner.user() and e.cluster == queue.cluster()]
    for entry in mine:
        if entry.sweep == sweep.name and entry.state == "released":
            entry.save("cancelled")
    kept = {stage for other in _others(store, sweep, entries) for stage in other.stages}
    jobs, spared, foreign = [], 0, 0
    for name in sweep.stages:
        holder = store.folder(name).owner()
        if holder is None or holder["launcher"] != "slurm" or holder["job"] is None:
            continue
        job = owners.look(holder)
        if job is None or not job.live:
            continue
        if holder["user"] != owner.user():
            foreign += 1
        elif name in kept:
            spared += 1
        else:
            jobs.append(job.id)
    queue.cancel([*jobs, *_without_stage(mine, sweep)])
    told = [f"cancelled {len(jobs)} jobs of sweep {sweep.name}"]
    if spared:
        told.append(f"left {spared} that another sweep waits for")
    if foreign:
        told.append(f"left {foreign} of other users'")
    return told


def _others(store: Store, sweep: Sweep, entries: list[journal.Submission]) -> list[Sweep]:
    """Sweeps that have been submitted and not cancelled, and are not over."""
    names = {e.sweep for e in entries if e.state != "withdrawn" and e.sweep != sweep.name}
    names -= {e.sweep for e in entries if e.state == "cancelled"} - {e.sweep for e in entries if e.state == "released"}
    there = set(sweeps.names(store))
    found = [sweeps.load(store, name) for name in sorted(names & there)]
    return [other for other in found if not all(store.done(stage) for stage in other.stages)]


def _without_stage(entries: list[journal.Submission], sweep: Sweep) -> list[str]:
    """Jobs of the sweep that do no stage: nodes of a pool, and what submits the next wave."""
    arrays = []
    for entry in entries:
        if entry.sweep == sweep.name:
            with_stage = {number.split("_")[0] for number in entry.jobs.values()}
            arrays += [number for number in entry.arrays if number not in with_stage]
    live = {number.split("_")[0] for number, job in queue.jobs(owner.user(), fresh=True).items() if job.live}
    return [number for number in arrays if number in live]
