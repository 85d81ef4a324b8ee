"""Simulated stores: read by everything that reads a store; predictions that give the scores; planted weaknesses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xstilts.results.question.bootstrap import bootstrap
from xstilts.results.question.changes import changes, means, primary_set
from xstilts.results.question.items import parts
from xstilts.results.question.numerics import numerics
from xstilts.results.question.scope import Scope
from xstilts.results.question.weakness import change, together, weakness
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.items import TARGETS, right
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.store import fill
from xstilts.results.simulate.truth import Spread, Truth
from xstilts.results.table import CELL, table
from xstilts.store import Store
from xstilts.sweep import sweeps

GRID = Grid(models=("base", "xl"), inters=("none", "qqp"), targets=("xnli", "xquad", "tydiqa", "panx"), seeds=2)
SCOPE = Scope("simulated", "english", "matched")
TRUTH = Truth(low=(-8.0, 0.0), high=(-1.0, 0.0), unseen=(-8.0, 0.0))
STILL = Spread(**dict.fromkeys(vars(Spread()), 0.0) | {"agreement": 1.0, "cell": 0.5})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated(TRUTH, 0, GRID, STILL)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> Store:
    store = Store(tmp_path_factory.mktemp("simulated"))
    fill(store, frame, GRID, targets=TARGETS)
    return store


def test_the_table_of_the_store_is_the_simulated_one(store: Store, frame: pd.DataFrame) -> None:
    found = table(store).set_index([*CELL, "language"]).sort_index()
    wanted = frame.set_index([*CELL, "language"]).sort_index()
    assert found.index.equals(wanted.index)
    for name in ("parameters", "resource_gib", "count", "same_task", "synthetic", "group", "metric", "primary"):
        assert (found[name] == wanted[name]).all(), name
    plain = found.index.get_level_values("target") == "panx"
    assert found.loc[plain, "value"].to_numpy() == pytest.approx(wanted.loc[plain, "value"].to_numpy())
    reach = 5 * np.sqrt(2500 / found["count"])  # standard errors of a proportion
    assert ((found["value"] - wanted["value"]).abs() < reach).all()


def test_predictions_give_the_scores(store: Store) -> None:
    scores = table(store).set_index(["stage", "language"])["value"]
    seen = 0
    for part in parts(store, sweeps.all_(store), SCOPE, ["tydiqa", "xnli"]):
        if part.language in ("sw", "en"):
            assert part.read().score == pytest.approx(scores[part.cell["stages"][-1], part.language])
            seen += 1
    assert seen == 2 * 2 * 2 * 2 * 2  # targets, models, inters, seeds, languages


def test_a_planted_weakness_is_found(store: Store) -> None:
    found = weakness(store, sweeps.all_(store), SCOPE)
    assert set(found["target"]) == {"xnli", "xquad"}
    after = change(found)
    sw = after[(after["target"] == "xnli") & (after["language"] == "sw")].set_index("model")["change"]
    assert sw["base"] > 5.0
    assert abs(sw["xl"]) < 3.0
    assert (after["seeds"] == 2).all()
    assert found["weakness"].between(0, 100).all()


def test_two_worlds_in_a_store_are_two_answers(store: Store) -> None:
    """The same names in another world, with the scores of the other half of the cells: nothing is paired across."""
    (own,) = sweeps.all_(store)
    none = {(cell["model"], cell["target"], cell["seed"]): cell for cell in own.cells if cell["inter"] == "none"}
    twins = [
        {**cell, "world": "twin", "stages": none[cell["model"], cell["target"], cell["seed"]]["stages"]}
        for cell in own.cells
    ]
    both = [own, replace(own, name="twin", cells=twins)]
    pd.testing.assert_frame_equal(weakness(store, both, SCOPE, ["xnli"]), weakness(store, [own], SCOPE, ["xnli"]))
    twin = replace(SCOPE, world="twin")
    assert (change(weakness(store, both, twin, ["xnli"]))["change"] == 0).all()
    seen = together(store, both, SCOPE, "xnli", "base")
    pd.testing.assert_frame_equal(seen, together(store, [own], SCOPE, "xnli", "base"))
    drawn = bootstrap(store, both, twin, draws=3).set_index("name")["value"]
    assert drawn.tolist() == [0, 0, 0]


def test_a_cell_of_two_sweeps_counts_once_as_the_newest_has_it(store: Store) -> None:
    """As in the tidy table: items and scores are of one evaluation."""
    (own,) = sweeps.all_(store)
    cells = [cell for cell in own.cells if (cell["target"], cell["inter"]) == ("xnli", "qqp")]
    stages = {(cell["model"], cell["seed"]): cell["stages"] for cell in cells}
    swapped = [{**cell, "stages": stages[cell["model"], 1 - cell["seed"]]} for cell in cells]
    newer = replace(own, name="a", created="2026-02-01", cells=swapped)
    for order in ([own, newer], [newer, own]):
        found = [part for part in parts(store, order, SCOPE, ["xnli"]) if part.cell["inter"] == "qqp"]
        assert len(found) == len(cells) * 15
        scores = table(store, order).set_index(["model", "inter", "target", "seed", "language"])["value"]
        for part in found:
            if part.language == "sw":
                key = (part.cell["model"], "qqp", "xnli", part.cell["seed"], "sw")
                assert part.read().score == pytest.approx(scores[key])
        assert change(weakness(store, order, SCOPE, ["xnli"]))["seeds"].eq(2).all()


def test_languages_of_one_script_fail_together(store: Store) -> None:
    found = together(store, sweeps.all_(store), SCOPE, "xnli", "base")
    assert found.loc["ru", "ru"] == pytest.approx(1.0)
    assert found.loc["ru", "bg"] > found.loc["ru", "th"] + 0.05
    assert "en" not in found.columns


def test_the_bootstrap_holds_tasks_and_languages_and_finds_the_shift(store: Store) -> None:
    found = bootstrap(store, sweeps.all_(store), SCOPE, draws=60).set_index("name")
    assert list(found.index) == ["base", "xl", "xl - base"]
    shift = found.loc["xl - base"]
    assert shift["low"] < shift["value"] < shift["high"]
    assert shift["value"] == pytest.approx(found.loc["xl", "value"] - found.loc["base", "value"])
    averaged = means(primary_set(changes(table(store))))
    own = averaged[(averaged["tier"] == "low") & (averaged["target"] != "panx") & (averaged["model"] == "base")]
    assert found.loc["base", "value"] == pytest.approx(own["change"].mean())
    assert found.loc["base", "cells"] == len(own)
    again = bootstrap(store, sweeps.all_(store), SCOPE, draws=60).set_index("name")
    pd.testing.assert_frame_equal(found, again)


def test_numerics_are_those_of_the_chain(store: Store) -> None:
    found = numerics(store, sweeps.all_(store))
    assert set(found) == {"device=simulated"}
    assert set(found.index) == set(table(store)["stage"])


def test_an_item_is_right_as_often_as_the_score_says() -> None:
    answers = right("xnli", "sw", 5000, 62.0, 1)
    assert 100 * answers.mean() == pytest.approx(62.0, abs=2.5)
    other = right("xnli", "sw", 5000, 62.0, 2)
    assert (answers == other).mean() > 0.65  # two runs agree on more than chance would


def test_filling_again_changes_nothing(store: Store, frame: pd.DataFrame) -> None:
    before = sorted(p.name for p in (store.root / "stages").iterdir())
    fill(store, frame, GRID)
    assert sorted(p.name for p in (store.root / "stages").iterdir()) == before
