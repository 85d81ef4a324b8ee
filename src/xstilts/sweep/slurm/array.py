"""Held arrays by submitit: one `sbatch` for many stages that ask for the same."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xstilts.errors import UserError
from xstilts.owner import user
from xstilts.store import Store
from xstilts.sweep.slurm import queue, ranks
from xstilts.sweep.slurm.journal import Submission
from xstilts.sweep.slurm.resources import Settings

#: Parameters that submitit knows for every kind of executor; the others are Slurm's own.
_COMMON = {
    *("name", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "mem_gb", "timeout_min"),
    "stderr_to_stdout",
}
_FULL = re.compile(r"SubmitJob|job submit limit|MaxSubmit", re.IGNORECASE)


class Full(Exception):
    """The account may not have that many jobs in the queue."""


def longest() -> int:
    """How many elements an array may have: MaxArraySize bounds the index, which starts at 0."""
    return max(1, int(queue.config().get("MaxArraySize", "1001")))


class Arrays:
    """The arrays of one submission."""

    def __init__(
        self, entry: Submission, settings: Settings, code: Path, store: Store, numerics: dict[str, Any]
    ) -> None:
        self.entry, self.settings, self.store = entry, settings, store
        self.environment = _environment(code, numerics)
        most = settings.keys["max_jobs"]
        self.room = most - sum(job.live for job in queue.jobs(user(), fresh=True).values()) if most else None

    @property
    def jobs(self) -> dict[str, str]:
        return self.entry.jobs

    def add(self, names: Sequence[str], calls: Sequence[Callable[[], Any]], shape: dict[str, Any]) -> None:
        """Submit one array, held. Raises `Full` when the queue has no room for all of it."""
        if self.room is not None and len(calls) > self.room:
            raise Full(f"max_jobs={self.settings.keys['max_jobs']}")
        numbers = self._sbatch(calls, shape)
        self.entry.arrays.append(numbers[0].split("_")[0])
        self.jobs.update(zip(names, numbers, strict=True))
        self.entry.save()
        if self.room is not None:
            self.room -= len(calls)

    def alone(self, call: Callable[[], Any], shape: dict[str, Any]) -> str:
        """Submit one job that does no stage, held. Returns its id; raises `Full`."""
        if self.room == 0:
            raise Full
        number = self._sbatch([call], shape)[0]
        self.entry.arrays.append(number)
        self.entry.save()
        if self.room is not None:
            self.room -= 1
        return number

    def nodes(self, calls: Sequence[Callable[[], Any]], shape: dict[str, Any]) -> list[str]:
        """Submit jobs that find their stages themselves, held. Returns their ids; raises `Full`."""
        numbers = self._sbatch(calls, shape)
        self.entry.arrays.append(numbers[0].split("_")[0])
        self.entry.save()
        return numbers

    def drop(self, name: str) -> None:
        """Take a stage's job back."""
        queue.cancel([self.jobs.pop(name)])
        self.entry.save()
        if self.room is not None:
            self.room += 1

    def _sbatch(self, calls: Sequence[Callable[[], Any]], shape: dict[str, Any]) -> list[str]:
        """The job ids. Asks again while the controller is busy; raises `Full`, or `UserError` with Slurm's words."""
        for wait in (*queue.WAITS, None):
            try:
                with queue.scrubbed():
                    return _submit(calls, self._parameters(shape), Path(self.settings.keys["submitit_folder"]))
            except Exception as error:  # submitit's own, with what sbatch said somewhere in it
                said = _said(error)
                if not said:
                    raise
                if _FULL.search(said):
                    raise Full(said) from None
                if not queue.busy(said):
                    raise UserError(f"sbatch: {said}") from None
                if wait is None:
                    raise queue.Unreachable(
                        f"sbatch: the controller does not answer ({said}); try again later"
                    ) from None
            # It may have taken the job and only its answer was lost: what we do not know of is taken back.
            queue.cancel([n for n in queue.named(self.entry.name) if n not in self.entry.arrays])
            time.sleep(wait)
        raise AssertionError

    def _parameters(self, shape: dict[str, Any]) -> dict[str, Any]:
        """Of submitit's executor: what the user's keys say, and what makes a stage's job one."""
        more = {"hold": True, "requeue": True, "kill-on-invalid-dep": "yes", **shape.get("additional_parameters", {})}
        seconds = shape["timeout_min"] * 60
        # One task that dies ends the others, whatever they wait for.
        together = {"srun_args": ["--kill-on-bad-exit=1"]} if ranks.count(shape) > 1 else {}
        return {
            **shape,
            **together,
            "name": self.entry.name,
            "additional_parameters": more,
            "setup": [*(shape.get("setup") or []), *self.environment],
            # A signal that is due before the job begins finds nobody who listens.
            "signal_delay_s": min(shape["signal_delay_s"], seconds // 3),
        }


def _submit(calls: Sequence[Callable[[], Any]], parameters: dict[str, Any], folder: Path) -> list[str]:
    import submitit

    executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
    executor.update_parameters(**{k if k in _COMMON else f"slurm_{k}": v for k, v in parameters.items() if v != 0})
    with executor.batch():
        jobs = [executor.submit(call) for call in calls]
    return [job.job_id for job in jobs]


def _environment(code: Path, numerics: dict[str, Any]) -> list[str]:
    """Lines of the job's script: the frozen code first, and no network."""
    lines = [
        f"export PYTHONPATH={shlex.quote(str(code / 'src'))}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=1",
    ]
    if numerics["threads"]:
        lines.append(f"export OMP_NUM_THREADS={numerics['threads']}")
    return lines


def _said(error: Exception) -> str:
    """What sbatch said, out of what submitit made of it; empty for an error that is not sbatch's."""
    text = getattr(error, "stderr", None) or str(error)
    lines = [line.strip() for line in str(text).splitlines()]
    told = [re.sub(r"^.*sbatch: (error|fatal): ", "", line) for line in lines if "sbatch:" in line]
    return "; ".join(dict.fromkeys(told))
