"""`do=plan`: the plan in words and tables, before anything runs."""

from __future__ import annotations

from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table

from xstilts.stage import Stage
from xstilts.sweep import sweeps
from xstilts.sweep.cost import costs, longest, peak_disk
from xstilts.sweep.plan import Plan

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def describe(plan: Plan, console: Console, workers: int = 1) -> None:
    """Cells, unique stages, what is reused, overlaps, compute, disk, the longest path."""
    cost = costs(plan)
    needed = plan.needed()
    added = f" ({plan.baseline_added} added as the inter=none baseline; baseline=false leaves them out)"
    console.print(f"[bold]{len(plan.cells)} cells[/]{added if plan.baseline_added else ''}", highlight=False)
    uses = sum(map(len, plan.chains))
    console.print(f"[bold]{len(plan.stages)} unique stages[/] for {uses} uses; {len(needed)} to run", highlight=False)
    console.print(_stages(plan, needed))
    _reused(plan, needed, console)
    same = Counter((c.names["inter"], c.target.name) for c in plan.cells if c.same_task)
    if same:
        pairs = ", ".join(f"{i} before {t}" for i, t in sorted(same))
        console.print(f"same-task pairs (the target trains on the intermediate data again): {pairs}", highlight=False)
    for inputs in plan.worlds.values():
        for task in inputs.used.values():
            if missing := inputs.missing(task):
                console.print(
                    f"missing in the library, NaN in the table: {task.name} {' '.join(missing)}", highlight=False
                )
            elif inputs.partial(task):
                console.print(f"partial: the library holds a slice of {task.name}", highlight=False)
    seconds = [cost[s].seconds for s in needed]
    if seconds and all(s is not None for s in seconds):
        console.print(f"about {_hours(sum(s or 0.0 for s in seconds))} of one device, measured on this store's stages")
    console.print(f"peak disk {size(peak_disk(plan, cost, workers))} with keep={plan.keep}", highlight=False)
    path = [plan.stages[s] for s in longest(plan, cost)]
    flop = sum(cost[s.id].flop for s in path)
    if path:
        console.print(f"longest path: {path[-1].label} ({len(path)} stages, {_flop(flop)})", highlight=False)
    _provisional(plan, console)


def _stages(plan: Plan, needed: dict[str, Stage]) -> Table:
    """One row a (kind, model): stages, left to run, compute."""
    cost = costs(plan)
    rows: dict[tuple[str, str], list[Stage]] = defaultdict(list)
    for stage in plan.stages.values():
        rows[stage.kind, stage.about["model"]].append(stage)
    table = Table("stage", "model", box=None, pad_edge=False)
    for name in ("unique", "to run", "compute", "measured"):
        table.add_column(name, justify="right")
    for (kind, model), stages in sorted(rows.items(), reverse=True):
        left = [s for s in stages if s.id in needed]
        seconds = [cost[s.id].seconds for s in left]
        measured = _hours(sum(s or 0.0 for s in seconds)) if left and None not in seconds else "-"
        table.add_row(
            kind, model, str(len(stages)), str(len(left)), _flop(sum(cost[s.id].flop for s in left)), measured
        )
    return table


def _reused(plan: Plan, needed: dict[str, Stage], console: Console) -> None:
    """What is done already, and which sweeps it was done for."""
    reused = [s for s in plan.stages if s not in needed]
    if not reused:
        return
    users: Counter[str] = Counter()
    for sweep in sweeps.all_(plan.store):
        users[f"{sweep.name} ({sweep.user})"] += sum(s in sweep.stages for s in reused)
    also = ", ".join(f"{count} of sweep {name}" for name, count in users.items() if count)
    console.print(f"{len(reused)} stages are done and reused{': ' + also if also else ''}", highlight=False)


def _provisional(plan: Plan, console: Console) -> None:
    for inputs in plan.worlds.values():
        if not inputs.provisional:
            continue
        data = ", ".join(sorted(inputs.unfilled)) or "-"
        models = ", ".join(sorted(inputs.unfilled_models)) or "-"
        console.print(
            f"[yellow]provisional ids[/]: the library {inputs.root} lacks data {data}; models {models}. "
            + ("do=fetch fills it." if inputs.world.kind == "hub" else "do=run fills it first."),
            highlight=False,
        )


def size(count: float) -> str:
    """Bytes for people: 12.3 GB."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _flop(count: float) -> str:
    if count != count:
        return "size unknown"
    for unit in ("", "k", "M", "G", "T", "P", "E"):
        if count < 1000 or unit == "E":
            return f"{count:.1f} {unit}FLOP"
        count /= 1000
    raise AssertionError


def _hours(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.1f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
    )
