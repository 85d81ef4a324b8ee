"""The nine claims on tables of which the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xstilts.results.question.claims import CONTRADICTED, SUPPORTED, UNKNOWN, Claim, claims, share
from xstilts.results.question.evidence import Evidence, over_seeds
from xstilts.results.question.scope import Scope
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.truth import Spread, Truth
from xstilts.scoring.suites import load

STILL = Spread(**dict.fromkeys(vars(Spread()), 0.0) | {"agreement": 1.0, "checkpoint": 0.1, "cell": 0.1})
GAIN = Truth(low=(2.0,), high=(2.0,), unseen=(2.0,), retrieval=20.0, same_task=0.0)
GRID = Grid(models=("large",), targets=tuple(load("xtreme").languages), seeds=3)


def claimed(frame: pd.DataFrame, selected: pd.Series | None = None) -> dict[int, Claim]:
    return {claim.number: claim for claim in claims(Evidence.of(frame, Scope.of(frame), selected))}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated(GAIN, 0, GRID, STILL)


def test_all_nine_are_answered(frame: pd.DataFrame) -> None:
    assert list(claimed(frame)) == list(range(1, 10))


def test_a_mean_over_targets_counts_retrieval_and_english(frame: pd.DataFrame) -> None:
    first = claimed(frame)[1]
    assert first.value == pytest.approx((9 * 2 + 2 * 20) / 9, abs=0.3)  # all nine by 2, two of them by 20 more
    assert first.low < first.value < first.high
    assert first.verdict == SUPPORTED


def test_small_gains_are_not_large() -> None:
    small = simulated(Truth((1.0,), (1.0,), (1.0,), retrieval=0.0, same_task=0.0), 0, GRID, STILL)
    assert claimed(small)[1].verdict == CONTRADICTED


def test_multitask_against_the_best_single_task(frame: pd.DataFrame) -> None:
    better = frame.assign(value=frame["value"] + 3.0 * (frame["inter"] == "multitask"))
    worse = frame.assign(value=frame["value"] - 3.0 * (frame["inter"] == "multitask"))
    assert [claimed(f)[2].verdict for f in (better, worse)] == [SUPPORTED, CONTRADICTED]
    assert claimed(better)[2].value == pytest.approx(3.0, abs=0.4)
    assert claimed(frame[frame["inter"] != "multitask"])[2].verdict == UNKNOWN


def test_retrieval_against_the_rest(frame: pd.DataFrame) -> None:
    third = claimed(frame)[3]
    assert (third.verdict, third.value) == (SUPPORTED, pytest.approx(20.0, abs=0.5))
    assert "bucc, tatoeba" in third.note


def test_tydiqa_and_xnli(frame: pd.DataFrame) -> None:
    hurt = frame.assign(value=frame["value"] - 9.0 * ((frame["target"] == "xnli") & (frame["inter"] != "none")))
    assert claimed(hurt)[4].verdict == SUPPORTED
    assert claimed(frame)[4].verdict == CONTRADICTED  # XNLI improves with every task


def test_the_share_of_tasks_has_an_exact_interval() -> None:
    rows = pd.DataFrame({"inter": list("abcde"), "change": [1.0, 2.0, -1.0, 3.0, np.nan]})
    value, low, high, n = share(rows)
    assert (value, n) == (75.0, 4)
    assert (low, high) == (pytest.approx(19.41, abs=0.01), pytest.approx(99.37, abs=0.01))


def test_the_best_task_of_each_target_needs_selection_scores(frame: pd.DataFrame) -> None:
    assert claimed(frame)[5].verdict == UNKNOWN
    selected = frame.drop_duplicates("stage").set_index("stage")["inter"].eq("mnli").astype(float)
    dev = frame[frame["group"] == "retrieval"].assign(split="dev")
    fifth = claimed(pd.concat([frame, dev]), selected)[5]
    assert fifth.value == pytest.approx((9 * 2 + 2 * 20) / 9, abs=0.4)
    assert fifth.verdict in (SUPPORTED, UNKNOWN)
    assert "9 of 9 targets" in fifth.note


def test_regimes_are_compared_where_they_were_run(frame: pd.DataFrame) -> None:
    assert claimed(frame)[6].verdict == UNKNOWN
    fed = frame[frame["inter"].isin(["mnli", "qqp"])]
    others = [
        fed.assign(regime=name, value=fed["value"] - loss - 0.1 * (fed["seed"] - 1))
        for name, loss in (("english_mlm", 1), ("translated", 2))
    ]
    sixth = claimed(pd.concat([frame, *others]))[6]
    assert (sixth.verdict, sixth.value) == (SUPPORTED, pytest.approx(1.0))
    assert claimed(pd.concat([frame, others[0]]))[6].verdict == UNKNOWN


def test_the_grid_says_what_it_lacks(frame: pd.DataFrame) -> None:
    assert claimed(frame)[9].verdict == SUPPORTED
    ninth = claimed(frame[~frame["inter"].isin(["ccg", "csqa"])])[9]
    assert (ninth.value, ninth.verdict, ninth.note) == (7.0, UNKNOWN, "without results: ccg, csqa")
    assert claimed(frame)[7].verdict == SUPPORTED
    assert claimed(frame.assign(model="base"))[7].verdict == UNKNOWN
    assert claimed(frame[frame["inter"] == "none"])[8].verdict == UNKNOWN


def test_one_seed_has_a_number_and_no_interval() -> None:
    assert over_seeds([3.0]).value == 3.0
    assert np.isnan(over_seeds([3.0]).se)
    assert np.isnan(over_seeds([]).value)
