"""What a stage computes on: the device, how many tokens at once, in which precision.

All of it is *numerics*: recorded, compared when a training is resumed, and no part of what a result is. Precision alone
comes from the recipe.
"""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xstilts.errors import UserError
from xstilts.memory import AT_ONCE, HEADROOM

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """Where and how the encoder runs."""

    device: torch.device
    budget: int  # tokens a micro-batch; `xstilts.work.fit` makes it one that fits
    bf16: bool

    @classmethod
    def of(cls, numerics: Mapping[str, Any], precision: str) -> Machine:
        """Of a stage's numerics; sets torch up for it."""
        wanted = numerics["device"]
        if wanted == "cuda" and not torch.cuda.is_available():
            raise UserError("numerics.device=cuda, and torch sees no CUDA device here; use auto or cpu")
        name = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
        if numerics["threads"] is not None:
            torch.set_num_threads(numerics["threads"])
        if name == "cuda":
            _repeatable()
            gc.collect()  # what an earlier stage of this process left, so that it counts as free
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        return cls(torch.device(name), numerics["micro_tokens"] or AT_ONCE[name][0], precision == "bf16")

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def facts(self) -> dict[str, Any]:
        """What can change the last digit of a result."""
        cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "threads": torch.get_num_threads(),
            "micro_tokens": self.budget,
            "torch": torch.__version__,
        }

    def free_memory(self) -> int:
        """Bytes that a stage may take: what is free on the device but for some headroom, or all memory of a CPU."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info()[0] * (1 - HEADROOM))
        return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])

    def peak_memory(self) -> int:
        """Bytes: on the device since `of`, or of this process since it began on a CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limits(said: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS) -> Iterator[int]:
    """Bytes that a container, or a job of Slurm's, gives this process: of its control group and of those around it."""
    for line in said.read_text().splitlines() if said.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        own = top / path.lstrip("/")
        for folder in (own, *own.parents[: len(own.parts) - len(top.parts)]):
            with suppress(OSError, ValueError):  # "max" where there is no limit
                yield int((folder / name).read_text())


def _repeatable() -> None:
    """Resumed must equal uninterrupted, and the kernels that are fastest add up in whatever order they finish.

    Not `warn_only`: with it the backward passes of torch's attention kernels, flash and memory-efficient, stay as they
    are. No operation of ours is refused (`tests/cuda/test_cuda.py`).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
