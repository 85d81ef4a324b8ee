"""Partial grids: as many cells as a budget is enough for, each with what it is compared with."""

from __future__ import annotations

import pytest
from commandline import Planned, chain, done

from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.sweep.asked import Asked, here
from xstilts.sweep.budget import within
from xstilts.sweep.cost import costs
from xstilts.sweep.plan import Plan

GRID = ("model=base", "inter=mnli,squad", "target=xnli,tatoeba", "seed=0,1")


def measured(plan: Plan) -> Plan:
    """One training and one evaluation are done: what they took is what the others are judged by."""
    train, evaluate = chain(plan, inter="none", target="xnli", seed=0)
    done(plan, train, seconds=3600.0)
    done(plan, evaluate, seconds=360.0)
    return plan


def hours(plan: Plan) -> float:
    return sum(cost.seconds or 0.0 for cost in costs(plan).values()) / 3600


@pytest.mark.parametrize("order", ["cost", "seed_first"])
def test_never_above_the_budget_and_never_a_cell_without_its_baseline(planned: Planned, order: str) -> None:
    plan = measured(planned(*GRID, f"order={order}"))
    everything, before = hours(plan), 0
    for share in (0.3, 0.5, 0.8, 1.001):
        part = within(plan, share * everything, here)
        assert hours(part) <= share * everything
        assert len(part.cells) == len(part.chains) >= before
        assert len(part.cells) + part.beyond == len(plan.cells)
        before = len(part.cells)
        assert set(part.stages) == {stage for ids in part.chains for stage in ids}
        have = [{**cell.names} for cell in part.cells]
        assert all({**names, "inter": "none"} in have for names in have)
        if order == "seed_first" and any(names["seed"] == 1 for names in have):
            assert sum(names["seed"] == 0 for names in have) == 6  # the first seed is whole
    assert before == len(plan.cells)


def test_several_devices_cost_several_times(planned: Planned) -> None:
    plan = measured(planned(*GRID))
    budget = 0.9 * hours(plan)

    def two(stage: Stage) -> Asked:
        return Asked("big", 2, None, device=here(stage).device)

    assert len(within(plan, budget, two).cells) < len(within(plan, budget, here).cells)


def test_the_same_command_twice_is_the_same_plan(planned: Planned) -> None:
    plan = measured(planned(*GRID))
    part = within(plan, 0.5 * hours(plan), here)
    for name in part.stages:
        if not plan.store.done(name):
            done(plan, name)
    assert set(within(plan, 0.5 * hours(plan), here).stages) == set(part.stages)


def test_what_was_never_measured_has_no_price(planned: Planned) -> None:
    plan = planned(*GRID)
    done(plan, chain(plan, inter="none", target="xnli", seed=0)[0], seconds=60.0)
    with pytest.raises(UserError, match="how long these take: evaluate of base"):
        within(plan, 10.0, here)


def test_too_little_for_anything(planned: Planned) -> None:
    with pytest.raises(UserError, match="not enough for one cell"):
        within(measured(planned(*GRID)), 0.01, here)
