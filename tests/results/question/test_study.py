"""A store that is broken in every way that stores break: the same analysis, of what is there, with its counts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xstilts import files
from xstilts.results import page
from xstilts.results.question import robustness, weakness
from xstilts.results.question.answer import answer
from xstilts.results.question.bootstrap import bootstrap
from xstilts.results.question.printed import verdicts
from xstilts.results.question.study import Study
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.store import fill
from xstilts.results.simulate.truth import TRUTHS, Truth
from xstilts.results.table import CELL, table
from xstilts.store import Store
from xstilts.sweep import sweeps

GRID = Grid(models=("base", "xl"), inters=("none", "qqp", "ccg"), targets=("xnli", "xcopa", "panx", "tatoeba"), seeds=2)
TRUTH = Truth(
    *(tuple(values[::2]) for values in (vars(TRUTHS["mitigates"])[name] for name in ("low", "high", "unseen")))
)
#: What is broken, and how.
BROKEN = {
    ("base", "qqp", "panx", 0): "never ran",
    ("xl", "none", "xnli", 1): "failed",
    ("xl", "ccg", "xnli", 0): "half-written",
    ("base", "none", "xcopa", 1): "training failed",
}
FILLS = "python launch.py do=retry sweep=simulated store.path="


@dataclass
class Torn:
    store: Store
    whole: pd.DataFrame  # the table before
    study: Study


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    store = Store(tmp_path_factory.mktemp("torn"))
    sweep = fill(store, simulated(TRUTH, 0, GRID), GRID, targets=("xnli",))
    whole = table(store)
    for cell in sweep.cells:
        how = BROKEN.get((cell["model"], cell["inter"], cell["target"], cell["seed"]))
        *training, evaluation = (store.folder(stage).root for stage in cell["stages"])
        if how == "never ran":
            shutil.rmtree(evaluation)
        elif how == "failed":
            _failed(evaluation, "CUDA out of memory")
        elif how == "training failed":
            shutil.rmtree(evaluation)
            _failed(training[-1], "disk full")
        elif how == "half-written":
            (evaluation / "done.json").unlink()
            for path in evaluation.glob("attempts/1/**/*.parquet"):
                path.write_bytes(path.read_bytes()[:40])
    return Torn(store, whole, Study.of(store.root))


def _failed(stage: Path, error: str) -> None:
    (stage / "done.json").unlink()
    files.write_json(stage / "attempts/1/record.json", {"status": "failed", "error": error, "notes": {}})


def _lost(frame: pd.DataFrame) -> pd.Series:
    return frame[["model", "inter", "target", "seed"]].apply(tuple, axis=1).isin(BROKEN)


def test_the_table_has_every_row_and_nan_where_nothing_was_measured(torn: Torn) -> None:
    frame = torn.study.frame
    keys = [*CELL, "language"]
    assert frame[keys].equals(torn.whole[keys]), "a row more or less for nobody"
    lost = _lost(frame)
    assert lost.sum() > 80
    assert frame.loc[lost, ["value", "attempt"]].isna().all().all()
    assert (frame.loc[lost, "count"] == 0).all()
    pd.testing.assert_frame_equal(frame[~lost], torn.whole[~lost])
    assert torn.study.unfinished() == len(BROKEN)


def test_the_verdict_is_that_of_what_is_there_with_its_counts_and_the_command(torn: Torn) -> None:
    whole, study = answer(torn.whole), torn.study
    masked = answer(torn.whole.assign(value=torn.whole["value"].mask(_lost(torn.whole)), count=study.frame["count"]))
    assert study.answer.primary.shift.low == masked.primary.shift.low
    counts = study.answer.primary.counts
    assert counts.of == whole.primary.counts.of == whole.primary.counts.pairs
    lost = {"panx": 1, "xcopa": 2, "xnli": 2 + 1}  # a baseline takes the pairs of both intermediate tasks with it
    languages = torn.whole[torn.whole["language"] != "en"].groupby("target")["language"].nunique()
    assert counts.of - counts.pairs == sum(pairs * languages[target] for target, pairs in lost.items())
    text = "\n".join(study.said())
    assert f"{counts.pairs} of {counts.of} pairs" in text
    assert f"4 of 48 cells of sweep simulated are not done; to fill: {FILLS}{torn.store.root}" in text
    assert "nan" not in text


def test_every_call_of_the_notebooks_goes_on(torn: Torn) -> None:
    study = torn.study
    rows = robustness.table(study.checks()).set_index("check")
    assert rows.loc["primary set", "pairs"] == study.answer.primary.counts.pairs < rows.loc["primary set", "of"]
    for what in ("target", "inter"):
        assert all(np.isfinite(check.harm.value) for check in study.leave_out(what))
    claims = study.claims()
    assert len(claims) == 9
    assert "not enough data" in set(claims["verdict"])
    found = weakness.weakness(study.store, study.sweeps, study.scope)
    assert len(found) == (12 - 2) * 14  # XNLI's evaluations that are there, languages but English
    changed = weakness.change(found)
    assert changed.groupby(["model", "inter"])["seeds"].max().to_dict() == {
        ("base", "ccg"): 2,
        ("base", "qqp"): 2,
        ("xl", "ccg"): 0,  # one run is half-written, the other has no baseline
        ("xl", "qqp"): 1,
    }
    assert changed.loc[changed["seeds"] == 0, "change"].isna().all()
    drawn = bootstrap(study.store, study.sweeps, study.scope, draws=5)
    assert np.isfinite(drawn["value"]).all()


def test_the_page_says_what_is_missing_and_why(torn: Torn) -> None:
    every = sweeps.all_(torn.store)
    text = page.page(torn.store, every, torn.study.frame, verdicts(torn.study.frame))
    assert f"{FILLS}{torn.store.root}" in text
    assert "4 of them not done" in text
    for why in ("CUDA out of memory", "disk full"):
        assert why in text
