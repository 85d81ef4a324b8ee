"""What a launcher takes for a stage: for the price of a plan, before anything is submitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from xstilts.stage import Stage
from xstilts.sweep.worker import devices


@dataclass(frozen=True)
class Asked:
    """Of one stage, for as long as it runs."""

    partition: str
    gpus: int
    memory: float | None  # bytes of the node's, not of a GPU's; None: all there is
    tasks: int = 1  # processes that do it together
    device: str = "cuda"  # or cpu

    @property
    def devices(self) -> int:
        """GPUs, or one CPU job."""
        return max(1, self.gpus)

    def seconds(self, alone: float) -> float:
        """How long it runs, from how long one process would: as if several were as much faster as there are."""
        return alone / self.tasks


def here(stage: Stage) -> Asked:
    """On this machine: one device, and all the memory there is."""
    return Asked("this machine", 1, None, device=_device(stage.numerics["device"]))


@cache
def _device(wanted: str) -> str:
    return "cpu" if devices(wanted) == [None] else "cuda"


def by(launcher: Any) -> Callable[[Stage], Asked]:
    """What a launcher asks for; a foreign one is taken for this machine."""
    return getattr(launcher, "asked", here)
