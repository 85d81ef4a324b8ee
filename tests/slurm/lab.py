"""One store, the cluster it is worked on with, and what a test asks of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cluster import Cluster

GROUP = "games"  # that users of a shared store have in common
ROOT = Path(__file__).parents[2]
TINY = [
    *(
        "world=toy",
        "world.weights=null",
        "world.sizes.train=32",
        "world.sizes.test=16",
        "world.sizes.dev=16",
        "world.sizes.selection=16",
    ),
    *("recipe=smoke", "recipe.common.steps=2", "recipe.pretrain.steps=2"),
]
SLURM = [
    *("hydra/launcher=slurm", "hydra.launcher.partition=main", "hydra.launcher.gpus_per_node=0"),
    *("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"),
]
LONG = ["recipe.pretrain.steps=600", "numerics.save_every=1"]  # a training of ten seconds and more
PAIR = ["model=base", "inter=none", "target=tatoeba"]  # two stages, one after the other


@dataclass
class Lab:
    """One store, and the cluster it is worked on with."""

    cluster: Cluster
    store: Path
    library: Path
    user: str | None = None  # who types; None: whoever runs the tests
    python: str = sys.executable

    def launch(self, *typed: str, slurm: bool = True, wait: bool = True, m: bool = True, tiny: bool = True) -> Any:
        """`python launch.py -m ...` on the tiny world; its process, which has ended unless `wait` is false."""
        given = {text.split("=", 1)[0] for text in typed}
        usual = [*(TINY if tiny else []), *(SLURM if slurm else [])]
        command = [self.python, str(ROOT / "launch.py"), *(["-m"] if m else []), *typed]
        command += [text for text in usual if text.split("=", 1)[0] not in given]
        command += [f"store={self.store}", f"library={self.library}"]
        process = subprocess.Popen(
            command,
            cwd=self.store.parent,
            env={**os.environ, **self.cluster.environment, "OMP_NUM_THREADS": "1", **self._name()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **({"user": self.user, "group": GROUP, "extra_groups": []} if self.user else {}),
        )
        if wait:
            output, _ = process.communicate(timeout=180)
            process.output = output  # type: ignore[attr-defined]
        return process

    def _name(self) -> dict[str, str]:
        """What a shell of that user says of them."""
        if self.user is None:
            return {}
        return {"USER": self.user, "LOGNAME": self.user, "HOME": str(self.store.parent)}

    def submit(self, *typed: str) -> str:
        """Launch, which must go well; what it printed."""
        done = self.launch(*typed)
        assert done.returncode == 0, done.output
        return done.output

    def queue(self, *options: str) -> list[str]:
        """Ids of the jobs in the queue, elements one by one."""
        return self.cluster.run("squeue", "-h", "-r", "-o", "%i", *options).split()

    def state(self, job: str) -> str:
        return self.cluster.run("squeue", "-h", "-t", "all", "-r", "-j", job, "-o", "%T", check=False).strip()

    def node(self, job: str) -> str:
        return self.cluster.run("squeue", "-h", "-r", "-j", job, "-o", "%N").strip()

    def until(self, over: Callable[[], Any], seconds: float = 120.0, what: str = "it") -> Any:
        end = time.monotonic() + seconds
        while not (found := over()):
            if time.monotonic() > end:
                jobs = self.cluster.run("squeue", "-r", "-o", "%i %j %T %r %S")
                pytest.fail(f"waited {seconds:.0f} s for {what}, in vain; the queue:\n{jobs}\n{self.said()}")
            time.sleep(0.3)
        return found

    def drained(self, seconds: float = 400.0) -> None:
        self.until(lambda: not self.queue(), seconds, "the end of all jobs")

    def stages(self) -> list[Path]:
        return sorted((self.store / "stages").glob("*-*"))

    def stage(self, kind: str) -> Path:
        (found,) = [s for s in self.stages() if s.name.startswith(kind)]
        return found

    def job(self, stage: Path) -> str:
        claims = sorted(stage.glob("claims/*.json"), key=lambda p: int(p.stem))
        return json.loads(claims[-1].read_bytes())["job"]

    def steps(self, stage: Path) -> int:
        """How far the newest attempt is."""
        attempts = sorted(stage.glob("attempts/*"), key=lambda p: int(p.name))
        path = attempts[-1] / "progress.json" if attempts else None
        return json.loads(path.read_bytes())["done"] if path and path.exists() else 0

    def left(self) -> list[str]:
        """What is not done."""
        stages = self.stages()
        return [s.name for s in stages if not (s / "done.json").exists()] if stages else ["any stage"]

    def done(self) -> bool:
        return not self.left()

    def all_done(self) -> None:
        """Every stage is; else the test fails, and its report says what each job printed."""
        if left := self.left():
            pytest.fail(f"not done: {', '.join(left)}\n{self.said()}")

    @property
    def sweep(self) -> str:
        """The name of its only sweep."""
        (found,) = self.store.glob("sweeps/*.yaml")
        return found.stem

    def jobs(self) -> list[tuple[str, str]]:
        """Every (stage, job) that was ever submitted from this store, oldest submission first."""
        entries = sorted(self.store.glob("slurm/xstilts-*.json"), key=lambda p: p.stat().st_mtime)
        return [pair for path in entries for pair in json.loads(path.read_bytes())["jobs"].items()]

    def table(self, *grid: str) -> pd.DataFrame:
        """The results of a grid that is done."""
        said = self.launch(*grid, slurm=False)
        assert "nothing to do" in said.output, said.output
        return pd.read_parquet(self.store / "results.parquet")

    def attempts(self) -> dict[str, int]:
        return {s.name: len(list(s.glob("attempts/*"))) for s in self.stages()}

    def said(self) -> str:
        """What the jobs printed, for the report of a failed test."""
        logs = [*self.store.glob("slurm/*/*.out"), *self.store.glob("slurm/*/*.err")]
        return "\n".join(f"--- {p}\n{p.read_text()[-1500:]}" for p in sorted(logs))
