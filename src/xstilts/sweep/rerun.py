"""`do=rerun`: one cell once more, as new attempts beside the old ones, compared language by language.

The published attempts stay what counts. The new ones start from each other, not from the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from xstilts.config import From
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.sweep import workstation
from xstilts.sweep.cell import Cell
from xstilts.sweep.outcome import Outcome
from xstilts.sweep.plan import Plan


def refuse_many(plan: Plan) -> None:
    if len(plan.cells) != 1:
        raise UserError(f"do=rerun takes one cell, and this is {len(plan.cells)}: name one model, inter, target, seed")


def rerun(plan: Plan, start: From, tries: int, console: Console) -> Outcome:
    """Rerun the one cell of `plan` from the phase `start` on, and print the comparison."""
    for stage in plan.stages.values():
        if not plan.store.done(stage.id):
            raise UserError(f"{stage.label} is not done yet: there is nothing to compare with; run the cell first")
    ids = plan.chains[0][first(plan.cells[0], start) :]
    again = {stage: plan.stages[stage] for stage in ids}
    attempts: dict[str, Path] = {}
    outcome = workstation.run(plan, {**_evicted(plan, again), **again}, 1, tries, _request(again), attempts)
    if not outcome.code:
        _compare(plan, ids[-1], attempts[ids[-1]], console)
    return outcome


def first(cell: Cell, start: From) -> int:
    """Where in a cell's chain a phase begins; a phase the cell does not have begins where the next one does."""
    pretrain = 1 if cell.model.pretrain else 0
    inter = pretrain + (1 if cell.inter.mixture else 0)
    return {From.inter: pretrain, From.target: inter, From.evaluate: inter + len(cell.target.train)}[start]


def _evicted(plan: Plan, again: Mapping[str, Stage]) -> dict[str, Stage]:
    """What has to be rebuilt first: deleted weights that a rerun starts from, and what these start from, in order."""
    wanted = set(again)
    for stage in reversed(plan.stages.values()):
        if stage.id in wanted:
            starts = [u for u in stage.upstream.values() if u not in again and plan.store.folder(u).evicted]
            wanted.update(starts)
    return {s: stage for s, stage in plan.stages.items() if s in wanted and s not in again}


def _request(again: Mapping[str, Stage]) -> Any:
    def more(stage: Stage, attempts: Mapping[str, Path]) -> dict[str, Any]:
        if stage.id not in again:
            return {}
        sources = {role: str(attempts[u]) for role, u in stage.upstream.items() if u in again}
        return {"rerun": True, "sources": sources}

    return more


def _compare(plan: Plan, evaluation: str, attempt: Path, console: Console) -> None:
    from xstilts.results.compare import compare, spread
    from xstilts.results.show import show_comparison
    from xstilts.results.table import table

    published = plan.store.folder(evaluation).published
    assert published is not None
    cell = plan.cells[0]
    noise = spread(table(plan.store), {**cell.names, "world": cell.place})
    label = f"{plan.stages[evaluation].label}: old is attempt {published.name}, new is attempt {attempt.name}"
    console.print(Text(label, "bold"), soft_wrap=True)
    show_comparison(compare(published / "scores.parquet", attempt / "scores.parquet", noise), console)
