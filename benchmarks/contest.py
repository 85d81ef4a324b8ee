"""Side by side in one run: every contestant anew in every round, in random order, at one thread, in CPU seconds.

Machines are shared and noisy. What a round measures is comparable within the round, so figures are medians of the
rounds, and ratios are medians of the ratios within a round, with their spread.
"""

from __future__ import annotations

import os
import platform
import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np

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

    Ratios are to each of `against`, by CPU seconds, or by the wall's where a GPU does the work. A contestant that fails
    is said and left out.
    """
    found: dict[str, list[Measured]] = {name: [] for name in contestants}
    order = random.Random(0)
    for number in range(rounds):
        for name in order.sample(list(contestants), len(contestants)):
            if name not in found:
                continue
            try:
                found[name].append(contestants[name](number))
            except Exception:
                print(f"{name} failed:\n{traceback.format_exc()}")
                del found[name]
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    lines, against = [], [name for name in against if name in found]
    for name, runs in found.items():
        ratios = [
            spread([a.rate(by) / b.rate(by) for a, b in zip(runs, found[other], strict=True)]) for other in against
        ]
        rates = (spread([run.rate(clock) for run in runs], 0) for clock in ("cpu", "wall"))
        lines.append([name, *rates, *ratios])
    table(title, [f"{unit} a CPU second", "a wall second", *(f"x {name}" for name in against)], lines)
    print(f"\nmedian [least, most] of {rounds} rounds; {machine()}", flush=True)
    return found


def table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Printed as RESULTS.md has it; the first column, without a name, says who."""
    print(f"\n{title}\n")
    for line in (["", *columns], ["---"] * (len(columns) + 1), *lines):
        print(f"| {' | '.join(line)} |")


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


def plain() -> None:
    """As torch is by itself: a stage before may have asked this process for deterministic algorithms."""
    import torch

    torch.use_deterministic_algorithms(False)


def _processor() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
