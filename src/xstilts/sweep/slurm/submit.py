"""`mode=dag`: every stage of a plan becomes an element of an array; Slurm starts each when what it needs is done.

Arrays are submitted held, one a (layer of the plan, kind, what is asked for, chunk); then each element gets its own
dependency; then all are released together. So nothing runs before the whole plan is in the queue, and whatever dies on
the way there is repaired by the next command (see `journal`). Layers are counted from the roots of the whole plan,
because Slurm looks for circles between arrays, not between their elements.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from xstilts import files, owner
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Claim, Folder
from xstilts.sweep.cost import priorities
from xstilts.sweep.plan import Plan
from xstilts.sweep.slurm import journal, owners, queue, snapshot, wave
from xstilts.sweep.slurm.array import Arrays, Full, longest
from xstilts.sweep.slurm.job import StageJob
from xstilts.sweep.slurm.resources import Settings
from xstilts.sweep.sweeps import Sweep

THREADS = 8  # that wait for the disk and the controller at once
WAIT = 120.0  # seconds that another driver gets to submit what it has claimed


@dataclass(eq=False)
class Submitted:
    """What became of a plan: for the table, and for what is left."""

    jobs: dict[str, str] = field(default_factory=dict)  # stage -> id of its job
    theirs: dict[str, str] = field(default_factory=dict)  # stage -> id of the job, queued before, that does it
    left: dict[str, str] = field(default_factory=dict)  # stage -> why it could not be submitted
    repaired: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)  # ids of whole-node jobs
    next: str | None = None  # id of the job that submits what the queue had no room for


class Driver:
    """Submits what is missing of a plan, once."""

    def __init__(self, plan: Plan, sweep: Sweep, settings: Settings) -> None:
        self.plan, self.sweep, self.settings = plan, sweep, settings
        # Jobs may start in another folder than ours.
        self.store = replace(plan.store, root=plan.store.root.resolve(), read=[p.resolve() for p in plan.store.read])
        self.found = Submitted()
        self.claims: dict[str, Claim] = {}
        self.last: dict[str, dict[str, Any]] = {}  # stage -> its claim before ours
        self.layers = _layers(plan)

    def submit(self) -> Submitted:
        """Returns once everything is queued and released. Raises `UserError` when the cluster refuses."""
        self.found.repaired = journal.repair(self.store)
        code = snapshot.take(self.store.root)
        entry = journal.start(self.store, self.sweep.name, code.name, list(self.plan.needed()))
        try:
            if not wave.cancelled(entry, self.store):
                self._claim(entry)
                self._arrays(Arrays(entry, self.settings, code, self.store, self._numerics()))
                self._depend(entry)
            entry.save("complete")
            entry.release()
        except BaseException:
            if entry.state == "submitting":
                entry.withdraw(self.store)
            raise
        return self.found

    # claims ---------------------------------------------------------------------------------------------------------

    def _claim(self, entry: journal.Submission) -> None:
        """Sort the stages: ours to submit, queued already, or not to be had now."""
        me, tried, left = owners.intent(entry.name, self.sweep.name), wave.tried(entry, self.store), self.found.left
        needed = sorted(self.plan.needed().values(), key=lambda stage: self.layers[stage.id])
        for _, layer in groupby(needed, key=lambda stage: self.layers[stage.id]):
            wanted = []
            for stage in layer:
                if above := next((u for u in stage.upstream.values() if u in left), None):
                    left[stage.id] = left[above]
                else:
                    wanted.append(stage)
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda stage: self._take(stage, me, tried), wanted))
            entry.beat()

    def _take(self, stage: Stage, me: dict[str, Any], tried: set[str]) -> None:
        """Claim one stage, or say why not."""
        folder, left = self._folder(stage.id), self.found.left
        holder = folder.owner()
        if before := folder.claims():
            self.last[stage.id] = files.read_json(before[-1])
        if stage.id in tried and not (holder and owner.alive(holder, folder.beat())):
            left[stage.id] = "its job has ended without finishing it"
            return
        claim = self.store.claim(stage, me, owner.alive)
        holder = folder.owner()
        if claim is not None and folder.marker.exists() and not folder.evicted:
            claim.release()  # it was finished while we looked
        elif claim is not None:
            self.claims[stage.id] = claim
        elif holder and holder["launcher"] == "slurm" and holder["cluster"] == queue.cluster():
            self.found.theirs[stage.id] = holder["job"] or ""
        else:
            left[stage.id] = f"{owner.describe(holder) if holder else 'somebody'} has it"

    def _folder(self, stage: str) -> Folder:
        return Folder(self.store.root / "stages" / stage)

    # arrays ---------------------------------------------------------------------------------------------------------

    def _arrays(self, arrays: Arrays) -> None:
        shapes, order = self._shapes(), priorities(self.plan, self.claims)
        groups: dict[str, list[str]] = {}
        for name in sorted(self.claims, key=lambda s: (self.layers[s], -order[s])):
            key = json.dumps([self.layers[name], self.plan.stages[name].kind, shapes[name]], sort_keys=True)
            groups.setdefault(key, []).append(name)
        chunks = [names[i : i + longest()] for names in groups.values() for i in range(0, len(names), longest())]
        for chunk in chunks:
            fitted = self._fit(arrays, chunk, shapes[chunk[0]])
            self._record(chunk[:fitted], arrays.jobs, shapes)
            if fitted < len(chunk) or self.found.next:
                break
        self.found.jobs = arrays.jobs
        for name in list(self.claims):
            above = self.plan.stages[name].upstream.values()
            if name in arrays.jobs and any(u in self.found.left for u in above):
                arrays.drop(name)  # what it starts from was taken back to make room
            if name not in arrays.jobs:
                self.claims.pop(name).release()
                self.found.left[name] = "the next wave submits it"
        if self.found.next:
            ahead = list(arrays.jobs.values()) or [*filter(None, self.found.theirs.values())]
            half = ahead[: max(1, min(100, len(ahead) // 2))]
            waits = [f"Dependency=afterany:{':'.join(half)}"] if half else [f"StartTime=now+{wave.LATER}minutes"]
            queue.call("scontrol", "update", f"JobId={self.found.next}", *waits)

    def _fit(self, arrays: Arrays, chunk: Sequence[str], shape: dict[str, Any]) -> int:
        """Submit as many of these stages as the queue takes, in one array if it takes all. Returns how many."""
        start, size = 0, len(chunk)
        while size:
            part = chunk[start : start + size]
            try:
                arrays.add(part, [self._job(name) for name in part], shape)
                start += size
                size = min(size, len(chunk) - start)
            except Full as full:
                self._reserve(arrays, str(full))
                size //= 2
        return start

    def _reserve(self, arrays: Arrays, why: str) -> None:
        """A place in the queue for the job that submits the rest, made by taking one back if need be."""
        shape = {
            **self.settings.common,
            "timeout_min": 30,
            "gpus_per_node": 0,
            "mem_gb": 4,
            "nodes": 1,
            "tasks_per_node": 1,
        }
        while self.found.next is None:
            try:
                self.found.next = arrays.alone(wave.following(arrays.entry), shape)
            except Full:
                if not arrays.jobs:
                    words = f"the cluster takes no more jobs of yours now ({why}): give the same command again"
                    raise UserError(f"{words} when some have ended") from None
                arrays.drop(next(reversed(arrays.jobs)))

    def _job(self, name: str) -> StageJob:
        read = tuple(map(str, self.store.read))
        claim, keep, tries = int(self.claims[name].path.stem), self.plan.keep, self.settings.tries
        return StageJob(str(self._folder(name).root), claim, read, keep, tries)

    def _numerics(self) -> dict[str, Any]:
        return next(iter(self.plan.stages.values())).numerics

    def _shapes(self) -> dict[str, dict[str, Any]]:
        """What each stage asks for: more than last time where that was not enough."""
        ended = queue.endings(last["job"] for last in self.last.values() if last.get("job"))
        shapes = {}
        for name in self.claims:
            shape, last = self.settings.shape(self.plan.stages[name]), self.last.get(name, {})
            how = last.get("ended") or ended.get(last.get("job") or "")
            shapes[name] = self.settings.more(shape, last, how)
        return shapes

    def _record(self, names: Sequence[str], jobs: dict[str, str], shapes: dict[str, dict[str, Any]]) -> None:
        """The claims say which job they are for."""

        def say(name: str) -> None:
            path = self.claims[name].path
            files.write_json(path, {**files.read_json(path), "job": jobs[name], "shape": shapes[name]})

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(say, [name for name in names if name in jobs]))

    # dependencies ---------------------------------------------------------------------------------------------------

    def _depend(self, entry: journal.Submission) -> None:
        """Each element waits for the jobs of the stages it starts from, and carries its stage's id as a name."""
        orders = []
        for name, number in self.found.jobs.items():
            parents = [self._parent(u) for u in self.plan.stages[name].upstream.values()]
            waits = ":".join(filter(None, parents))
            more = [f"Dependency=afterok:{waits}"] if waits else []
            orders.append(["scontrol", "update", f"JobId={number}", f"JobName={name}", *more])

        def give(order: list[str]) -> None:
            queue.call(*order)
            entry.beat()  # thousands of these, and a slow controller, take longer than a driver may be silent

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(give, orders))

    def _parent(self, upstream: str) -> str | None:
        """The job that makes a stage, or None when it is made.

        A job that has left the controller must not be depended on: Slurm would count it as well ended.
        """
        if upstream in self.found.jobs:
            return self.found.jobs[upstream]
        if upstream not in self.found.theirs or self.store.done(upstream):
            return None
        holder = self._submitted(upstream)
        job = queue.jobs(holder["user"], fresh=True).get(holder["job"])
        if job is not None and job.live:
            return job.id
        if self.store.done(upstream):
            return None
        raise UserError(f"job {holder['job']} ended just now without finishing {upstream}: give the same command again")

    def _submitted(self, stage: str) -> dict[str, Any]:
        """The owner of a stage, once the driver that has claimed it (at this moment, maybe) knows its job."""
        until = time.monotonic() + WAIT
        while True:
            holder = self._folder(stage).owner() or {"job": None, "user": owner.user()}
            if holder["job"]:
                self.found.theirs[stage] = holder["job"]
                return holder
            if time.monotonic() > until or self.store.done(stage):
                raise UserError(f"{stage}: whoever has it does not go on; give the same command again")
            time.sleep(0.5)


def _layers(plan: Plan) -> dict[str, int]:
    """Stages by their distance from a root, in whatever sweep they are."""
    layers: dict[str, int] = {}
    for stage in plan.stages.values():  # each comes after those it starts from
        layers[stage.id] = max((layers[u] + 1 for u in stage.upstream.values()), default=0)
    return layers
