"""A cluster in a file: as much of Slurm's clients as the driver talks to. It survives the death of whoever asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock, get_ident
from typing import Any

from xstilts.owner import user
from xstilts.sweep.slurm.queue import Refused, Unreachable


class FakeSlurm:
    """Replaces `queue.call` and `array._submit`."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.path, self.lock = path, RLock()
        self.save(
            {"next": 1, "jobs": {}, "config": {"ClusterName": "fake", "MaxArraySize": 1001, **config}, "limit": None}
        )

    # the clients ----------------------------------------------------------------------------------------------------

    def submit(self, calls: Sequence[Callable[[], Any]], parameters: dict[str, Any], folder: Path) -> list[str]:
        """sbatch, by submitit."""
        state = self.load()
        assert len(calls) <= int(state["config"]["MaxArraySize"]), "an index above the limit"
        live = sum(job["state"] in ("PENDING", "RUNNING") for job in state["jobs"].values())
        if state["limit"] is not None and live + len(calls) > state["limit"]:
            raise RuntimeError("sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed")
        number = state["next"]
        state["next"] += 1
        numbers = [f"{number}_{i}" for i in range(len(calls))] if len(calls) > 1 else [str(number)]
        for one, call in zip(numbers, calls, strict=True):
            stage = Path(getattr(call, "stage", "")).name
            job = {"state": "PENDING", "reason": "JobHeldUser", "name": parameters["name"], "after": [], "stage": stage}
            state["jobs"][one] = {**job, "asked": {k: parameters.get(k) for k in ("mem_gb", "timeout_min")}}
        self.save(state)
        return numbers

    def call(self, *command: str, patient: bool = True) -> str:
        name, *options = command
        with self.lock:
            return getattr(self, f"_{name}")(options)

    def _scontrol(self, options: list[str]) -> str:
        state = self.load()
        what, *rest = options
        if what == "show":
            return "\n".join(f"{key:24}= {value}" for key, value in state["config"].items())
        if what == "release":
            if not any(number.split("_")[0] in rest for number in self.live()):
                raise Refused("scontrol: Job has already finished for job 1; slurm_suspend error")
            for number, job in state["jobs"].items():
                if number.split("_")[0] in rest and job["reason"] == "JobHeldUser":
                    job["reason"] = "Dependency" if job["after"] else "Priority"
        else:
            assert what == "update"
            values = dict(option.split("=", 1) for option in rest)
            job = state["jobs"][values["JobId"]]
            job["name"] = values.get("JobName", job["name"])
            if "Dependency" in values:
                kind, *parents = values["Dependency"].split(":")
                # Slurm counts the end of a job that it does not know as a good one.
                job["after"] = [p for p in parents if p in state["jobs"]]
                assert kind in ("afterok", "afterany")
        self.save(state)
        return ""

    def _squeue(self, options: list[str]) -> str:
        named = next((o.removeprefix("--name=") for o in options if o.startswith("--name=")), None)
        rows = []
        for number, job in self.load()["jobs"].items():
            if options[options.index("-u") + 1] != user():
                continue
            if named is not None:
                if job["name"] == named and job["state"] in ("PENDING", "RUNNING"):
                    rows.append(number.split("_")[0])
            else:
                rows.append(f"{number}|{job['state']}|{job['reason']}|{job['name']}")
        return "\n".join(rows)

    def _scancel(self, options: list[str]) -> str:
        self.end("CANCELLED", *[n for n in self.load()["jobs"] if n in options or n.split("_")[0] in options])
        return ""

    def _sacct(self, options: list[str]) -> str:
        if self.load()["config"].get("AccountingStorageType") == "none":
            raise Refused("sacct: Slurm accounting storage is disabled")
        wanted = options[options.index("-j") + 1].split(",")
        return "\n".join(f"{n}|{job['state']}" for n, job in self.load()["jobs"].items() if n in wanted)

    # the tests' side ------------------------------------------------------------------------------------------------

    def end(self, how: str, *numbers: str) -> None:
        state = self.load()
        for number in numbers:
            if state["jobs"][number]["state"] in ("PENDING", "RUNNING"):
                state["jobs"][number] |= {"state": how, "reason": "None"}
        self.save(state)

    def live(self) -> dict[str, dict[str, Any]]:
        return {n: job for n, job in self.load()["jobs"].items() if job["state"] in ("PENDING", "RUNNING")}

    def limit(self, jobs: int | None) -> None:
        self.save({**self.load(), "limit": jobs})

    def load(self) -> dict[str, Any]:
        return json.loads(self.path.read_bytes())

    def save(self, state: dict[str, Any]) -> None:
        fresh = self.path.with_suffix(f".{get_ident()}")
        fresh.write_text(json.dumps(state))
        fresh.replace(self.path)  # whoever is killed leaves the old state or the new one


def unreachable(*_: Any, **__: Any) -> str:
    """`queue.call` when the controller is down."""
    raise Unreachable("squeue: no answer")
