"""`mode=pool`: a few whole-node jobs, each the workstation's scheduler over the store's claims, one stage a GPU.

For clusters that hand out whole nodes, and for low limits on submitted jobs. When the time is nearly up, the running
stages save their state and the job goes back to the queue.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from xstilts.errors import UserError
from xstilts.owner import user
from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep.plan import Plan
from xstilts.sweep.slurm import array, journal, queue, snapshot
from xstilts.sweep.slurm.job import hand_over
from xstilts.sweep.slurm.resources import Settings
from xstilts.sweep.slurm.submit import Submitted
from xstilts.sweep.sweeps import Sweep


@dataclass(frozen=True)
class PoolJob:
    """What submitit calls on the node."""

    store: str
    read: tuple[str, ...]
    sweep: str
    keep: str
    tries: int

    def __call__(self) -> None:
        from xstilts.sweep import retention, sweeps, workstation

        for number in (signal.SIGUSR1, signal.SIGUSR2):  # the scheduler hears TERM
            signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        store = Store(Path(self.store), [Path(p) for p in self.read])
        plan = frozen(store, sweeps.load(store, self.sweep), self.keep)
        if not plan.needed():
            return
        outcome = workstation.run(plan, plan.needed(), _workers(plan), tries=1)
        if outcome.stopped:
            hand_over(self.tries)
            raise RuntimeError("stopped before everything was done")
        retention.evict(plan)
        for failure in outcome.failures:
            print(f"failed: {failure.label}: {failure.error}", flush=True)
        if outcome.failures:
            raise RuntimeError(f"{len(outcome.failures)} stages failed")


def frozen(store: Store, sweep: Sweep, keep: str) -> Plan:
    """The plan of a sweep as it lies in the store, without composing anything."""
    stages = {name: Stage.load(store.folder(name).spec) for name in sweep.stages}
    return Plan([], [], stages, store, {}, keep)


def _workers(plan: Plan) -> int | None:
    """How many processes: one a GPU (the scheduler's own rule), else as many as the allocation's cores feed."""
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return None
    threads = next(iter(plan.stages.values())).numerics["threads"] or 1
    return max(1, int(os.environ.get("SLURM_CPUS_ON_NODE", 1)) // threads)


def submit(plan: Plan, sweep: Sweep, settings: Settings) -> Submitted:
    """Queue as many nodes as are wanted and not there already for this sweep. Raises `UserError`."""
    store = replace(plan.store, root=plan.store.root.resolve(), read=[p.resolve() for p in plan.store.read])
    found = Submitted(repaired=journal.repair(store))
    for stage in plan.stages.values():
        if not store.done(stage.id):
            store.enter(stage)
    missing = settings.keys["nodes"] - len(live(store, sweep.name))
    if missing <= 0:
        return found
    code = snapshot.take(store.root)
    entry = journal.start(store, sweep.name, code.name, [])
    shape = {"exclusive": True, **settings.common, "nodes": 1, "tasks_per_node": 1}
    call = PoolJob(str(store.root), tuple(map(str, store.read)), sweep.name, plan.keep, settings.tries)
    try:
        arrays = array.Arrays(entry, settings, code, store, next(iter(plan.stages.values())).numerics)
        found.nodes = arrays.nodes([call] * missing, shape)
        entry.save("complete")
        entry.release()
    except array.Full as full:
        entry.withdraw(store)
        raise UserError(f"the cluster takes no {missing} more jobs of yours now ({full}): ask for fewer") from None
    except BaseException:
        if entry.state == "submitting":
            entry.withdraw(store)
        raise
    return found


def live(store: Store, sweep: str) -> list[str]:
    """The nodes that are queued or running for a sweep: jobs of its submissions that do no stage of their own."""
    arrays: set[str] = set()
    for entry in journal.every(store):
        if entry.sweep == sweep and entry.cluster == queue.cluster() and entry.state == "released" and not entry.jobs:
            arrays |= set(entry.arrays)
    mine = queue.jobs(user(), fresh=True)
    return [number for number, job in mine.items() if job.live and number.split("_")[0] in arrays]
