"""Whole nodes that take stage after stage."""

from __future__ import annotations

import pandas as pd
from lab import Lab

GRID = ["model=base", "inter=mnli", "target=xnli,tatoeba"]
POOL = ["hydra.launcher.mode=pool", "hydra.launcher.nodes=2"]


def test_a_pool_gives_the_same_values(lab: Lab) -> None:
    said = lab.submit(*GRID, *POOL)
    assert "2 nodes asked for" in said
    assert "0 nodes asked for, 0 queued" not in lab.submit(*GRID, *POOL)  # those two are enough
    assert len(lab.queue()) <= 2
    lab.drained()
    assert lab.done()
    assert set(lab.attempts().values()) == {1}
    assert lab.launch(*GRID).returncode == 0
    other = Lab(lab.cluster, lab.store.parent / "workstation", lab.library)
    assert other.launch(*GRID, slurm=False).returncode == 0
    tables = [pd.read_parquet(one.store / "results.parquet") for one in (lab, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_cancelled_pool_goes_on(lab: Lab) -> None:
    grid = ["model=base", "inter=none", "target=tatoeba", "recipe.pretrain.steps=600", "numerics.save_every=2"]
    lab.submit(*grid, *POOL[:1], "hydra.launcher.nodes=1")
    lab.until(lambda: len(lab.stages()) == 2 and lab.steps(lab.stage("train")) > 20, what="the training")
    name = next(lab.store.glob("sweeps/*.yaml")).stem
    assert "cancelled" in lab.launch("do=cancel", f"sweep={name}").output
    lab.drained(90)
    assert not lab.done()
    assert "1 nodes asked for" in lab.submit(*grid, *POOL[:1], "hydra.launcher.nodes=1")
    lab.drained()
    assert lab.done()
    assert lab.attempts()[lab.stage("train").name] == 2
