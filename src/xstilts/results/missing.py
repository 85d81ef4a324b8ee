"""Which stages a sweep lacks and why, beside the command that does them (`xstilts.results.question.fill`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xstilts.results.question.fill import Gap, gaps
from xstilts.sweep.status import STATES, State, states

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep

SAID = 200  # stages that are named, those that failed first


@dataclass(frozen=True)
class Lacking:
    """A sweep that is not whole."""

    gap: Gap
    counts: dict[str, int]  # stages that are not done, by state
    stages: list[tuple[str, State]]  # label and state of the first of them


def lacking(store: Store, sweeps: Sequence[Sweep]) -> list[Lacking]:
    """Of each sweep with cells that are not done."""
    by_name = {sweep.name: sweep for sweep in sweeps}
    found = []
    for gap in gaps(store, sweeps):
        sweep = by_name[gap.sweep]
        left = {stage: state for stage, state in states(store, sweep).items() if state.name != "done"}
        counts = Counter(state.name for state in left.values())
        named = sorted(((sweep.stages[s]["label"], state) for s, state in left.items()), key=lambda one: _place(one[1]))
        found.append(Lacking(gap, {name: counts[name] for name in STATES if counts[name]}, named[:SAID]))
    return found


def _place(state: State) -> int:
    return ("failed", "interrupted", "blocked", "running", "queued", "waiting").index(state.name)
