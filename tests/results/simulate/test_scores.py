"""Simulated tables: the columns of real ones, the size they say, the truth they were given."""

from __future__ import annotations

import pandas as pd
import pytest

from xstilts.results.question.changes import changes, primary_set
from xstilts.results.simulate.grid import INTERS, MODELS, Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.truth import TRUTHS, Spread, Truth
from xstilts.results.summary import summary
from xstilts.results.table import COLUMNS

TINY = Grid(models=("base", "xl"), inters=("none", "mnli", "qqp"), targets=("xnli", "panx", "tatoeba"), seeds=2)
TWO = Truth(low=(-4.0, -1.0), high=(-1.0, 0.0), unseen=(-6.0, -3.0))
STILL = Spread(**dict.fromkeys(vars(Spread()), 0.0) | {"agreement": 1.0})


def test_the_whole_grid_has_the_size_of_the_benchmark() -> None:
    grid = Grid()
    parts = grid.parts()
    assert (len(MODELS), len(INTERS), parts["target"].nunique(), parts["language"].nunique()) == (3, 11, 10, 50)
    assert len(grid.rows()) == 3 * 11 * 5 * len(parts)
    assert parts[parts["target"] == "panx"].set_index("language")["count"]["jv"] == 100


def test_columns_and_types_are_those_of_results() -> None:
    frame = simulated(TWO, 0, TINY)
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(frame[name].dtype) for name, type_ in COLUMNS.items() if type_} == {
        name: type_ for name, type_ in COLUMNS.items() if type_
    }
    assert frame["synthetic"].all()
    assert frame["value"].between(0, 100).all()
    assert not frame.duplicated(["model", "inter", "target", "seed", "language"]).any()
    assert len(summary(frame)) > 0


def test_the_same_seed_gives_the_same_table() -> None:
    first = simulated(TWO, 3, TINY)
    pd.testing.assert_frame_equal(first, simulated(TWO, 3, TINY))
    assert (first["value"] != simulated(TWO, 4, TINY)["value"]).all()


def test_without_spread_every_change_is_the_truth() -> None:
    rows = changes(simulated(TWO, 0, TINY, STILL))
    own = primary_set(rows)
    unseen = own[(own["tier"] == "unseen")].groupby("model")["change"].agg(["min", "max"])
    assert unseen.loc["base"].tolist() == pytest.approx([-6.0, -6.0])
    assert unseen.loc["xl"].tolist() == pytest.approx([-3.0, -3.0])
    seen = own[own["tier"] != "unseen"].drop_duplicates(["model", "language"])
    each = seen.groupby(["model", "tier"])["change"].mean()
    assert each["base", "low"] == pytest.approx(-4.0)
    assert each["base", "high"] == pytest.approx(-1.0)
    assert each["xl", "low"] == pytest.approx(-1.0)
    beside = rows[rows["target"] == "tatoeba"].set_index(["model", "inter", "seed", "language"])["change"]
    plain = own[own["target"] == "panx"].set_index(["model", "inter", "seed", "language"])["change"]
    assert (beside - plain).dropna().unique() == pytest.approx(15.0)


def test_a_truth_is_of_as_many_models_as_the_grid() -> None:
    with pytest.raises(ValueError, match="3 models, and 2"):
        simulated(TRUTHS["no harm"], 0, TINY)
