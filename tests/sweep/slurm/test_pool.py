"""Whole-node jobs: as many as are wanted, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from house import KEYS, House, tree

from xstilts.errors import UserError
from xstilts.sweep.slurm import cancel, pool
from xstilts.sweep.slurm.resources import Settings


def ask(house: House, nodes: int, **keys: Any) -> list[str]:
    stages = tree(1)
    settings = Settings({**KEYS, "nodes": nodes, **keys})
    return pool.submit(house.plan(stages), house.sweep("one", stages), settings).nodes


def test_only_missing_nodes_are_asked_for(house: House) -> None:
    assert len(ask(house, 3)) == 3
    assert ask(house, 3) == []
    house.slurm.end("COMPLETED", next(iter(house.slurm.live())))
    assert len(ask(house, 3)) == 1
    assert len(house.slurm.live()) == 3
    assert not any(job["reason"] == "JobHeldUser" for job in house.slurm.live().values())


def test_no_room(house: House) -> None:
    house.slurm.limit(2)
    with pytest.raises(UserError, match="ask for fewer"):
        ask(house, 3)
    assert not house.slurm.live()
    assert len(ask(house, 2)) == 2


def test_cancel(house: House) -> None:
    ask(house, 2)
    cancel.cancel(house.store, house.sweep("one", tree(1)))
    assert not house.slurm.live()
    assert len(ask(house, 2)) == 2


def test_the_plan_comes_from_the_store_alone(house: House) -> None:
    stages = tree(2)
    ask(house, 1)
    for stage in stages.values():
        house.store.enter(stage)
    plan = pool.frozen(house.store, house.sweep("one", stages), "inter")
    assert {name: stage.decisive for name, stage in plan.needed().items()} == {n: s.decisive for n, s in stages.items()}
