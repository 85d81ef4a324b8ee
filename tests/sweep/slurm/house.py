"""A plan of a few stages, a store, and a fake cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake import FakeSlurm

from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep.plan import Plan
from xstilts.sweep.slurm.resources import Settings
from xstilts.sweep.slurm.submit import Driver, Submitted
from xstilts.sweep.sweeps import Sweep

KEYS: dict[str, Any] = {
    **{"mode": "dag", "submitit_folder": "unused", "name": "x", "max_num_timeout": 3, "max_jobs": None, "nodes": 1},
    **{"mem_gb": 8, "timeout_min": 60, "signal_delay_s": 120, "additional_parameters": {}, "gpus_per_node": 1},
    **{"stages": {"any": {"evaluate": {"timeout_min": 10}}}, "limits": {"mem_gb": 24}},
}


def stage(kind: str, seed: int, above: Stage | None = None) -> Stage:
    numerics = {"device": "cpu", "threads": 1}
    about = {"label": f"{kind} {seed}", "model": "base", "parameters": 1}
    return Stage(kind, {"seed": seed}, {"init": above.id} if above else {}, about, {}, numerics)


def tree(seeds: int, evaluations: int = 2) -> dict[str, Stage]:
    """`seeds` trainings, each with a training on it, that one with some evaluations."""
    stages = []
    for seed in range(seeds):
        root = stage("train", seed)
        middle = stage("train", seed, root)
        stages += [root, middle, *(stage("evaluate", 100 * seed + e, middle) for e in range(evaluations))]
    return {s.id: s for s in stages}


@dataclass
class House:
    """A store and its cluster."""

    store: Store
    slurm: FakeSlurm

    def plan(self, stages: dict[str, Stage]) -> Plan:
        return Plan([], [], stages, self.store, {}, "inter")

    def sweep(self, name: str, stages: dict[str, Stage]) -> Sweep:
        rows = {s.id: {"kind": s.kind, "label": s.label, "upstream": s.upstream} for s in stages.values()}
        made = Sweep(name, "", "", [], [], rows)
        made.save(self.store)
        return made

    def submit(self, stages: dict[str, Stage], name: str = "one", **keys: Any) -> Submitted:
        return Driver(self.plan(stages), self.sweep(name, stages), Settings({**KEYS, **keys})).submit()

    def finish(self, stages: dict[str, Stage], *names: str) -> None:
        """As if the jobs of these stages had done them."""
        for name in names:
            folder = self.store.enter(stages[name])
            folder.marker.write_text('{"attempt": 1}')
            (folder.root / "attempts/1/checkpoint").mkdir(parents=True)
            self.slurm.end("COMPLETED", *[n for n, job in self.slurm.live().items() if job["stage"] == name])

    def check(self, stages: dict[str, Stage]) -> None:
        """One live job a stage, none held, each after those of the stages it starts from."""
        live = self.slurm.live()
        job = {one["stage"]: number for number, one in live.items() if one["stage"]}
        assert sorted(one["stage"] for one in live.values()) == sorted(s for s in stages if not self.store.done(s))
        for number, one in live.items():
            assert one["reason"] != "JobHeldUser"
            above = stages[one["stage"]].upstream.values()
            assert sorted(one["after"]) == sorted(job[u] for u in above if not self.store.done(u))
            assert self.store.folder(one["stage"]).owner()["job"] == number  # type: ignore[index]


def killed(work: Callable[[], Any], after: int, patch: Callable[[Callable[[], None]], None]) -> bool:
    """Whether `work`, in a process of its own that dies without a word at its step number `after`, got that far."""
    child = os.fork()
    if child == 0:
        left = [after]

        def step() -> None:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)

        patch(step)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9
