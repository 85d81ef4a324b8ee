"""`budget=HOURS`: of a grid that is too dear, the cells that so many device-hours are enough for.

Cells are taken as they were typed, or all of one seed before the next (order=seed_first), each together with the
baseline that it is compared with. What is done already has been paid from the same budget, so the same command twice
runs nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.sweep.asked import Asked
from xstilts.sweep.cell import Cell
from xstilts.sweep.cost import costs
from xstilts.sweep.plan import Plan

AXES = ("model", "target", "recipe", "seed")  # in which a cell and its baseline are the same


def within(plan: Plan, hours: float, ask: Callable[[Stage], Asked]) -> Plan:
    """The plan of what the budget is enough for. `ask`: what a stage takes, for as long as it runs.

    Raises `UserError` when a stage's time is not known, or when not one cell can be had.
    """
    price = _prices(plan, ask)
    left, taken, stages = hours, set[int](), set[str]()
    for group in _groups(plan):
        new = {stage for i in group for stage in plan.chains[i]} - stages
        cost = sum(price[stage] for stage in new)
        if cost > left:
            break  # a cheaper one further on would leave a hole in the grid
        left, taken, stages = left - cost, taken | set(group), stages | new
    if not taken:
        raise UserError(f"budget={hours:g}: not enough for one cell and its baseline; do=plan says what they take")
    return replace(
        plan,
        cells=[c for i, c in enumerate(plan.cells) if i in taken],
        chains=[c for i, c in enumerate(plan.chains) if i in taken],
        stages={name: stage for name, stage in plan.stages.items() if name in stages},
        beyond=len(plan.cells) - len(taken),
    )


def _prices(plan: Plan, ask: Callable[[Stage], Asked]) -> dict[str, float]:
    """Device-hours of every stage."""
    found, unknown = {}, set()
    for name, cost in costs(plan, ask).items():
        stage = plan.stages[name]
        asked = ask(stage)
        if cost.seconds is None:
            unknown.add(f"{stage.kind} of {stage.about['model']} on a {'GPU' if asked.device == 'cuda' else 'CPU'}")
            continue
        found[name] = asked.seconds(cost.seconds) / 3600 * asked.devices
    if unknown:
        raise UserError(
            f"budget=: nothing in this store says how long these take: {', '.join(sorted(unknown))}. "
            "Run a cell of each model first; its time is what the others are judged by"
        )
    return found


def _groups(plan: Plan) -> Sequence[list[int]]:
    """Cells by number, each with its baseline, in the order in which they are wanted."""
    baselines = {_axes(cell): i for i, cell in enumerate(plan.cells) if not cell.inter.mixture}
    order = range(len(plan.cells))
    if plan.order == "seed_first":
        seeds = list(dict.fromkeys(cell.seed for cell in plan.cells))
        order = sorted(order, key=lambda i: seeds.index(plan.cells[i].seed))  # type: ignore[assignment]
    return [[*dict.fromkeys([i, baselines.get(_axes(plan.cells[i]), i)])] for i in order]


def _axes(cell: Cell) -> tuple[object, ...]:
    return tuple(cell.names[axis] for axis in AXES)
