"""`metrics.jsonl`: how a training went, one JSON object a line, in the order of its steps."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

LOG_EVERY = 10  # steps, of which a line gives the mean

#: The number of a step's entry, its mean loss, and the norm of its gradient; still on the device, or read already.
Step = tuple[int, torch.Tensor | float, torch.Tensor | float]


class Metrics:
    """The file of this attempt; continues a copy of an earlier attempt's when there is one."""

    def __init__(self, path: Path, earlier: Path | None = None) -> None:
        self.path = path
        if earlier is not None:
            shutil.copyfile(earlier, path)
        self.file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, **values: Any) -> None:
        """A line. What is not a finite number is null, since JSON has no NaN."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        self.file.write(json.dumps(plain) + "\n")

    def close(self) -> None:
        self.file.close()


def read(window: Sequence[Step]) -> list[Step]:
    """Fetch the numbers of some steps from the device."""
    return [(entry, float(loss), float(norm)) for entry, loss, norm in window]


def summary(window: Sequence[Step], names: Sequence[str]) -> dict[str, float]:
    """Mean `loss` and gradient norm of some steps; with several entries also `loss/ENTRY` of those that had a turn."""
    values = {"loss": _mean([loss for _, loss, _ in window]), "grad_norm": _mean([norm for *_, norm in window])}
    if len(names) > 1:
        for entry in sorted({entry for entry, *_ in window}):
            values[f"loss/{names[entry]}"] = _mean([loss for e, loss, _ in window if e == entry])
    return values


def _mean(values: Sequence[torch.Tensor | float]) -> float:
    return float(sum(values)) / len(values)
