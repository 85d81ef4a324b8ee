"""`do=rerun`: one cell once more, as new attempts beside the old ones, compared language by language.

The published attempts stay what counts. The new ones start from each other, not from the published ones.
"""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from xstilts.config import From
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.sweep.cell import Cell
from xstilts.sweep.plan import Plan
from xstilts.sweep.screen import Screen
from xstilts.sweep.workstation import Worker, environment


def rerun(plan: Plan, start: From, console: Console) -> int:
    """Rerun the one cell of `plan` from the phase `start` on. Returns 0, or 1 when a stage failed."""
    if len(plan.cells) != 1:
        raise UserError(f"do=rerun takes one cell, and this is {len(plan.cells)}: name one model, inter, target, seed")
    ids = plan.chains[0]
    stages = [plan.stages[s] for s in ids[first(plan.cells[0], start) :]]
    for stage in plan.stages.values():
        if not plan.store.done(stage.id):
            raise UserError(f"{stage.label} is not done yet: there is nothing to compare with; run the cell first")
    with Screen() as screen:
        attempts = _attempts(plan, stages, screen)
    if attempts is None:
        return 1
    _compare(plan, stages[-1], attempts[stages[-1].id], console)
    return 0


def first(cell: Cell, start: From) -> int:
    """Where in a cell's chain a phase begins; a phase the cell does not have begins where the next one does."""
    pretrain = 1 if cell.model.pretrain else 0
    inter = pretrain + (1 if cell.inter.mixture else 0)
    return {From.inter: pretrain, From.target: inter, From.evaluate: inter + len(cell.target.train)}[start]


def _attempts(plan: Plan, stages: list[Stage], screen: Screen) -> dict[str, Path] | None:
    """Do the stages one after the other; the new attempt folder of each, or None when one failed."""
    inbox: queue.Queue[tuple[Worker, dict[str, Any]]] = queue.Queue()
    worker = Worker(0, inbox, environment(stages[0].numerics, None))
    attempts: dict[str, Path] = {}
    try:
        for done, stage in enumerate(stages):
            sources = {role: str(attempts[u]) for role, u in stage.upstream.items() if u in attempts}
            folder = plan.store.enter(stage)
            request = {"stage": str(folder.root), "read": [str(p) for p in plan.store.read]}
            worker.give(stage, {**request, "rerun": True, "sources": sources})
            while (event := inbox.get()[1])["event"] not in ("end", "died"):
                if event["event"] == "progress":
                    screen.progress(stage, event)
                elif "attempt" in event:
                    attempts[stage.id] = Path(event["attempt"])
                screen.tick(done, len(stages), [stage.id])
            if event.get("status") != "done":
                screen.failed(stage, str((folder.record() or {}).get("error") or event.get("error") or event["status"]))
                return None
    finally:
        worker.close()
        worker.process.wait(60)
    return attempts


def _compare(plan: Plan, evaluation: Stage, attempt: Path, console: Console) -> None:
    from xstilts.results.compare import compare
    from xstilts.results.table import table

    published = plan.store.folder(evaluation.id).published
    assert published is not None
    found = compare(published / "scores.parquet", attempt / "scores.parquet", table(plan.store))
    view = Table(title=f"{evaluation.label}: attempt {published.name} and attempt {attempt.name}", title_justify="left")
    for name in found.columns:
        view.add_column(str(name), justify="right" if found[name].dtype.kind == "f" else "left")
    for row in found.itertuples(index=False):
        view.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    console.print(view)
