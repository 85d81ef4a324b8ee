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
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from xstilts import files, owner
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Claim, Folder
from xstilts.sweep.cost import priorities
from xstilts.sweep.plan import Plan
from xstilts.sweep.slurm import array, journal, owners, queue, snapshot
from xstilts.sweep.slurm.job import StageJob
from xstilts.sweep.slurm.resources import Settings
from xstilts.sweep.sweeps import Sweep

WAIT = 120.0  # seconds that another driver gets to submit what it has claimed


@dataclass(eq=False)
class Submitted:
    """What became of a plan: for the table, and for what is left."""

    jobs: dict[str, str] = field(default_factory=dict)  # stage -> id of its job
    theirs: dict[str, str] = field(default_factory=dict)  # stage -> id of another sweep's job that does it
    left: dict[str, str] = field(default_factory=dict)  # stage -> why it could not be submitted
    repaired: list[str] = field(default_factory=list)
    full: bool = False  # a limit on submitted jobs was met


class Driver:
    """Submits what is missing of a plan, once."""

    def __init__(self, plan: Plan, sweep: Sweep, settings: Settings) -> None:
        self.plan, self.sweep, self.settings = plan, sweep, settings
        # Jobs start in other folders than ours, maybe.
        self.store = replace(plan.store, root=plan.store.root.resolve(), read=[p.resolve() for p in plan.store.read])
        self.found = Submitted()
        self.claims: dict[str, Claim] = {}
        self.needed: dict[str, Stage] = {}

    def submit(self) -> Submitted:
        """Returns once everything is queued and released. Raises `UserError` when the cluster refuses."""
        self.found.repaired = journal.repair(self.store)
        self.needed = self.plan.needed()
        code = snapshot.take(self.store.root)
        entry = journal.start(self.store, self.sweep.name, code.name, list(self.needed))
        try:
            self._claim(entry)
            self._arrays(entry, code)
            self._depend()
            entry.save("complete")
            entry.release()
        except BaseException:
            if entry.state == "submitting":
                entry.withdraw(self.store)
            raise
        return self.found

    # claims ---------------------------------------------------------------------------------------------------------

    def _claim(self, entry: journal.Submission) -> None:
        me = owners.intent(entry.name, self.sweep.name)
        for stage in self.needed.values():
            above = next((u for u in stage.upstream.values() if u in self.found.left), None)
            if above is not None:
                self.found.left[stage.id] = self.found.left[above]
                continue
            self._ask_more(stage)
            claim = self.store.claim(stage, me, owner.alive)
            folder = Folder(self.store.root / "stages" / stage.id)
            if claim is not None and folder.marker.exists() and not folder.evicted:
                claim.release()  # it was finished while we looked
            elif claim is not None:
                self.claims[stage.id] = claim
            else:
                holder = folder.owner() or {}
                if holder.get("launcher") == "slurm" and holder["cluster"] == queue.cluster():
                    self.found.theirs[stage.id] = holder["job"] or ""
                else:
                    self.found.left[stage.id] = f"{owner.describe(holder)} has it" if holder else "somebody has it"

    def _ask_more(self, stage: Stage) -> None:
        """Remember what the last job of a stage was given, and how it ended."""
        claims = Folder(self.store.root / "stages" / stage.id).claims()
        if claims:
            self._last[stage.id] = files.read_json(claims[-1])

    @property
    def _last(self) -> dict[str, dict[str, Any]]:
        return self.__dict__.setdefault("_last_claims", {})

    # arrays ---------------------------------------------------------------------------------------------------------

    def _arrays(self, entry: journal.Submission, code: Any) -> None:
        shapes = self._shapes()
        order = priorities(self.plan, self.claims)
        groups: dict[str, list[str]] = {}
        for name in sorted(self.claims, key=lambda s: (self._layer(s), -order[s])):
            key = json.dumps([self._layer(name), self.plan.stages[name].kind, shapes[name]], sort_keys=True)
            groups.setdefault(key, []).append(name)
        queued = array.Arrays(entry, self.settings, code, self.store, self._numerics())
        for names in groups.values():
            for chunk in _chunks(names, array.longest()):
                if not queued.add(chunk, [self._job(name) for name in chunk], shapes[chunk[0]]):
                    break
                self._record(chunk, queued.jobs, shapes)
        self.found.jobs = queued.jobs

    def _job(self, name: str) -> StageJob:
        folder = self.store.root / "stages" / name
        read = tuple(map(str, self.store.read))
        tries = int(self.settings.keys["max_num_timeout"])
        return StageJob(str(folder), int(self.claims[name].path.stem), read, self.plan.keep, tries)

    def _numerics(self) -> dict[str, Any]:
        return next(iter(self.plan.stages.values())).numerics

    def _shapes(self) -> dict[str, dict[str, Any]]:
        """What each stage asks for: more than last time where that was not enough."""
        ended = queue.endings(last["job"] for last in self._last.values() if last.get("job"))
        shapes = {}
        for name in self.claims:
            shape, last = self.settings.shape(self.plan.stages[name]), self._last.get(name, {})
            shapes[name] = self.settings.more(shape, last, ended.get(last.get("job", "")))
        return shapes

    def _record(self, names: Sequence[str], jobs: dict[str, str], shapes: dict[str, dict[str, Any]]) -> None:
        """The claims say which job they are for."""
        for name in names:
            if name in jobs:
                path = self.claims[name].path
                files.write_json(path, {**files.read_json(path), "job": jobs[name], "shape": shapes[name]})

    def _layer(self, name: str) -> int:
        @cache
        def depth(stage: str) -> int:
            above = self.plan.stages[stage].upstream.values()
            return max((depth(u) + 1 for u in above if u in self.plan.stages), default=0)

        return depth(name)

    # dependencies ---------------------------------------------------------------------------------------------------

    def _depend(self) -> None:
        """Each element waits for the jobs of the stages it starts from, and carries its stage's id as a name."""
        for name, number in self.found.jobs.items():
            parents = [self._parent(u) for u in self.plan.stages[name].upstream.values()]
            waits = "afterok:" + ":".join(filter(None, parents)) if any(parents) else ""
            more = [f"Dependency={waits}"] if waits else []
            queue.call("scontrol", "update", f"JobId={number}", f"JobName={name}", *more)

    def _parent(self, upstream: str) -> str | None:
        """The job that makes a stage, or None when it is made.

        A job that has left the controller must not be depended on: Slurm would count it as well ended.
        """
        if upstream in self.found.jobs:
            return self.found.jobs[upstream]
        if upstream not in self.found.theirs or self.store.done(upstream):
            return None
        number = self._theirs(upstream)
        found = queue.jobs(files.read_json(Folder(self.store.root / "stages" / upstream).claims()[-1])["user"], True)
        if number in found and found[number].live:
            return number
        if self.store.done(upstream):
            return None
        raise UserError(f"job {number} of {upstream} ended just now without finishing it: give the same command again")

    def _theirs(self, stage: str) -> str:
        """The id of the job that another driver, submitting at this moment, is about to get."""
        until = time.monotonic() + WAIT
        while not self.found.theirs[stage]:
            holder = Folder(self.store.root / "stages" / stage).owner() or {}
            self.found.theirs[stage] = holder.get("job") or ""
            if time.monotonic() > until:
                raise UserError(
                    f"{stage} is claimed by {owner.describe(holder)}, which does not go on: try again later"
                )
            if not self.found.theirs[stage]:
                time.sleep(0.5)
        return self.found.theirs[stage]


def _chunks(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[i : i + size] for i in range(0, len(names), size)]
