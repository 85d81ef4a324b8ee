"""Somebody else's launcher runs cells: Hydra's joblib, submitit and their like know nothing of a plan.

Each cell goes through `xstilts.sweep.single`, stage after stage; cells that share a stage wait for one another by its
claim. Hydra keeps what a job raised silently in its return value, so it is looked at here.
"""

from __future__ import annotations

from typing import Any

from xstilts.errors import reason
from xstilts.sweep import running
from xstilts.sweep.outcome import Failure, Outcome
from xstilts.sweep.plan import Plan
from xstilts.sweep.sweeps import Sweep


def execute(plan: Plan, sweep: Sweep, launcher: Any) -> Outcome:
    """Run every cell that lacks a stage."""
    needed = plan.needed()
    cells = [cell for cell, ids in zip(plan.cells, plan.chains, strict=True) if any(s in needed for s in ids)]
    with running.announced(plan.store, sweep.name):
        try:
            returns = launcher.launch([list(cell.overrides) for cell in cells], 0)
        except KeyboardInterrupt:
            return Outcome(stopped=True)
        except Exception as error:  # a job that was killed takes the whole launch with it
            name = type(launcher).__name__
            return Outcome([Failure(", ".join(_name(c.names) for c in cells), f"{name}: {reason(error)}")])
    failures = []
    for cell, result in zip(cells, returns, strict=True):
        try:
            _ = result.return_value
        except Exception as error:
            failures.append(Failure(_name(cell.names), str(error)))
    return Outcome(failures)


def _name(names: dict[str, Any]) -> str:
    return " ".join(str(value) for value in names.values())
