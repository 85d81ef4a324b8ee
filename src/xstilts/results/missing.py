"""What a report lacks, and the command that fills it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xstilts.sweep.status import STATES, State, states

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep


@dataclass(frozen=True)
class Lacking:
    """A sweep that is not whole."""

    sweep: str
    cells: int  # of which some stage is not done
    of: int
    counts: dict[str, int]  # stages by state, those that are done not among them
    stages: list[tuple[str, State]]  # label and state, failed ones first
    command: str  # does what is missing


def lacking(store: Store, sweeps: Sequence[Sweep]) -> list[Lacking]:
    """Of each sweep that lacks a stage."""
    found = []
    for sweep in sweeps:
        left = {stage: state for stage, state in states(store, sweep).items() if state.name != "done"}
        if not left:
            continue
        named = sorted(((sweep.stages[s]["label"], state) for s, state in left.items()), key=lambda one: _place(one[1]))
        cells = sum(any(stage in left for stage in cell["stages"]) for cell in sweep.cells)
        counts = Counter(state.name for state in left.values())
        typed = shlex.join(["python", "launch.py", "do=retry", f"sweep={sweep.name}", f"store={store.root}"])
        ordered = {name: counts[name] for name in STATES if counts[name]}
        found.append(Lacking(sweep.name, cells, len(sweep.cells), ordered, named, typed))
    return found


def _place(state: State) -> int:
    return ("failed", "interrupted", "blocked", "running", "queued", "waiting").index(state.name)
