"""Side by side in one run: every contestant anew in every round, in random order, at one thread, in CPU seconds.

Machines are shared and noisy. What a round measures is comparable within the round, so figures are medians of the
rounds, and ratios are medians of the ratios within a round, with their spread.
"""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

PACKAGES = ("torch", "transformers", "accelerate", "sentence-transformers", "tokenizers", "numpy")


@dataclass(frozen=True)
class Measured:
    """What one contestant did in one round."""

    work: float  # in the unit of the contest, such as useful tokens
    cpu: float  # seconds, of this process
    wall: float

    def rate(self, by: Literal["cpu", "wall"]) -> float:
        return self.work / getattr(self, by)


class Clock:
    """Seconds since it was made, of the process and of the wall."""

    def __init__(self) -> None:
        _wait()
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def read(self, work: float) -> Measured:
        _wait()
        return Measured(work, time.process_time() - self.cpu, time.perf_counter() - self.wall)


def _wait() -> None:
    """What a GPU was given is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def contest(
    title: str,
    unit: str,
    contestants: Mapping[str, Callable[[int], Measured]],
    rounds: int,
    against: list[str],
    by: Literal["cpu", "wall"] = "cpu",
) -> dict[str, list[Measured]]:
    """Run, print and give what was measured. A contestant is called with the number of the round.

    Ratios are to each of `against`, by CPU seconds, or by the wall's where a GPU does the work.
    """
    found: dict[str, list[Measured]] = {name: [] for name in contestants}
    order = random.Random(0)
    for number in range(rounds):
        for name in order.sample(list(contestants), len(contestants)):
            found[name].append(contestants[name](number))
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    table = Table("", f"{unit} a CPU second", "a wall second", *(f"x {name}" for name in against), title=title)
    for name, runs in found.items():
        ratios = [
            spread([a.rate(by) / b.rate(by) for a, b in zip(runs, found[other], strict=True)]) for other in against
        ]
        table.add_row(
            name, spread([r.rate("cpu") for r in runs], 0), spread([r.rate("wall") for r in runs], 0), *ratios
        )
    Console(width=150).print(table)
    print(f"median [least, most] of {rounds} rounds; {machine()}")
    return found


def spread(values: list[float], digits: int = 2) -> str:
    return f"{np.median(values):,.{digits}f} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


def machine() -> str:
    """Where and with what, in one line."""
    import torch

    known = []
    for package in PACKAGES:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            known.append(f"no {package}")
    return (
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {_processor()}, {os.cpu_count()} cores of which "
        f"{torch.get_num_threads()} used, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        + ", ".join(known)
    )


def _processor() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
