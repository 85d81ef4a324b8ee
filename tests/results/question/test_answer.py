"""The question, asked of sweeps with a known answer and of tables that lack something."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xstilts.errors import UserError
from xstilts.results.question import words
from xstilts.results.question.answer import Answer, answer, lacking
from xstilts.results.question.changes import changes, means, primary_set, zero_shot
from xstilts.results.question.contrast import Resource, contrast, effects
from xstilts.results.question.robustness import checks
from xstilts.results.question.scope import Scope, models
from xstilts.results.question.tell import more, sparse
from xstilts.results.question.verdict import Verdict
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.truth import TRUTHS, Spread

SMALL = Grid(inters=("none", "mnli", "qqp", "squad", "ccg", "csqa"), seeds=2)
CALM = Spread(**{name: value / 4 for name, value in vars(Spread()).items() if name != "agreement"}, agreement=0.97)


@pytest.fixture(scope="module")
def mitigated() -> pd.DataFrame:
    return simulated(TRUTHS["mitigates"], 7, SMALL, CALM)


@pytest.fixture(scope="module")
def answered(mitigated: pd.DataFrame) -> Answer:
    return answer(mitigated)


def test_a_mitigated_harm_is_found_with_its_size(answered: Answer) -> None:
    one = answered.primary
    assert answered.verdict == Verdict.MITIGATES
    for estimate, truth in (
        (one.harm, -4.0),
        (one.each["base"].high, -1.0),
        (one.shift.low, 2.0),
        (one.shift.gap, 2.0),
    ):
        low, high = estimate.interval(0.99)
        assert low < truth < high
        assert high - low < 3
    assert one.adjusted()["base", "xl"] < 0.01


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [
        ("no harm", Verdict.NO_HARM),
        ("harm at every scale", Verdict.DOES_NOT),
        ("mitigates everywhere", Verdict.MITIGATES),
        ("worsens", Verdict.WORSENS),
    ],
)
def test_known_answers(truth: str, verdict: Verdict) -> None:
    assert answer(simulated(TRUTHS[truth], 11, SMALL, CALM)).verdict == verdict


def test_an_answer_says_what_it_rests_on(answered: Answer, mitigated: pd.DataFrame) -> None:
    text = "\n".join(words.sentences(answered))
    counts = answered.primary.counts
    assert "scale mitigates it" in text
    assert "base, large and xl only" in text
    assert "no sample of scales" in text
    assert f"{counts.pairs} of {counts.of} pairs" in text
    assert counts.pairs == counts.of == len(primary_set(changes(mitigated)))
    assert answered.everything.counts.of == len(zero_shot(changes(mitigated))) > counts.of


def test_the_primary_set_has_no_retrieval_no_same_task_and_no_english(mitigated: pd.DataFrame) -> None:
    rows = primary_set(changes(mitigated))
    assert set(rows["group"]) == {"classification", "tagging", "qa"}
    assert not rows["same_task"].any()
    assert "en" not in set(rows["language"])
    pairs = set(zip(rows["inter"], rows["target"], strict=True))
    assert ("mnli", "xnli") not in pairs
    assert ("mnli", "xquad") in pairs


def test_only_what_exists_is_paired(mitigated: pd.DataFrame) -> None:
    frame = mitigated.copy()
    gone = (frame["model"] == "base") & (frame["target"] == "panx") & (frame["inter"] == "none") & (frame["seed"] == 0)
    frame.loc[gone, ["value", "attempt"]] = np.nan
    rows = primary_set(means(changes(frame)))
    missed = rows[(rows["model"] == "base") & (rows["target"] == "panx")]
    assert (missed["seeds"] == 1).all()
    assert (missed["of"] == 2).all()
    assert missed["change"].notna().all()
    counts = answer(frame).primary.counts
    assert counts.pairs == counts.of - len(missed)
    assert counts.cells == counts.cells_of


def test_cells_that_a_model_lacks_leave_the_contrast_and_stay_in_the_counts(mitigated: pd.DataFrame) -> None:
    frame = mitigated.copy()
    frame.loc[(frame["model"] == "xl") & (frame["target"] == "xcopa"), "value"] = np.nan
    found = answer(frame).primary
    assert found.shift.targets == 6
    assert found.each["base"].targets == 7
    assert found.counts.common < found.counts.cells < found.counts.cells_of


def test_a_contrast_is_the_difference_of_its_models(mitigated: pd.DataFrame) -> None:
    rows = primary_set(means(changes(mitigated)))
    both = contrast(rows, {"xl": 1.0, "base": -1.0}).set_index(["inter", "target", "language"])["value"]
    alone = [contrast(rows, {m: 1.0}).set_index(["inter", "target", "language"])["value"] for m in ("xl", "base")]
    pd.testing.assert_series_equal(both, alone[0] - alone[1])


def test_low_is_the_weighted_sum_of_its_rows(mitigated: pd.DataFrame) -> None:
    found = effects(primary_set(means(changes(mitigated))), {"base": 1.0})
    assert found.table is not None
    assert float((found.table["value"] * found.table["weight"]).sum()) == pytest.approx(found.low.value)
    assert sum(found.shares.values()) <= found.low.se**2
    assert sum(found.shares.values()) == pytest.approx(found.low.se**2, rel=0.1)


def test_resource_is_measured_from_a_typical_low_resource_language() -> None:
    frame = pd.DataFrame({"language": ["a", "b", "b", "c", "d"], "resource_gib": [1.0, 4.0, 4.0, 200.0, 0.0]})
    found = Resource.of(frame.assign(text=frame["resource_gib"]))
    assert found.low == pytest.approx(np.log10(2.0))
    assert found.distance == pytest.approx(2.0)


def test_more_of_what_shrinks_the_interval_most_comes_first(answered: Answer, mitigated: pd.DataFrame) -> None:
    lines = more(primary_set(changes(mitigated)), {"xl": 1.0, "base": -1.0}, answered.primary.shift)
    things = {"seeds", "intermediate tasks", "targets", "low-resource languages", "items a test"}
    assert {line.what for line in lines} == things
    assert [line.doubled for line in lines] == sorted(line.doubled for line in lines)
    assert all(0 <= line.share <= 1 and line.doubled <= line.reach for line in lines)
    low, high = answered.primary.shift.low.interval()
    assert lines[0].reach == pytest.approx((high - low) / 2)


def test_small_tests_are_told_apart_from_few_of_them(mitigated: pd.DataFrame) -> None:
    """Noise of items is an effect of each target and language: larger tests lessen it, and so do more of these."""
    rows = primary_set(changes(mitigated))
    places = rows[["target", "language"]].drop_duplicates()
    rng = np.random.default_rng(5)
    places["count"] = rng.choice([100, 10000], len(places))
    places["noise"] = rng.normal(0, 40, len(places)) / places["count"] ** 0.5
    rows = rows.drop(columns="count").merge(places, on=["target", "language"])
    noisy = rows.assign(change=rows["change"] + rows["noise"] * (rows["model"] == "xl"))
    weights = {"xl": 1.0, "base": -1.0}

    def share(frame: pd.DataFrame) -> float:
        found = effects(means(frame), weights)
        return {line.what: line.share for line in more(frame, weights, found)}["items a test"]

    assert share(rows) < 0.1
    assert share(noisy) > 0.2
    found = effects(means(noisy), weights)
    line = {line.what: line for line in more(noisy, weights, found)}
    assert 100 <= line["items a test"].now <= 10000
    for what in ("targets", "low-resource languages"):
        assert line[what].share >= line["items a test"].share


def test_the_languages_that_are_hardly_tested_come_first(mitigated: pd.DataFrame) -> None:
    frame = mitigated.copy()
    frame.loc[(frame["language"] == "sw") & (frame["model"] == "xl"), "value"] = np.nan
    first = sparse(primary_set(means(changes(frame)))).iloc[0]
    assert (first["language"], first["tier"], first["pairs"]) == ("sw", "low", 0)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (lambda f: f[f["model"] == "base"], "two models"),
        (lambda f: f[f["inter"] != "none"], "cells with inter=none"),
        (lambda f: f[f["inter"] == "none"], "cells with an intermediate task"),
        (lambda f: f[f["target"] == "tatoeba"], "a target that is no retrieval"),
        (lambda f: f[(f["target"] == "xnli") & f["inter"].isin(["none", "mnli"])], "a target that is no retrieval"),
        (lambda f: f[f["language"].isin(["en", "de"])], "low-resource languages"),
        (lambda f: f.assign(value=f["value"].where(f["model"] != "xl")), "at model=xl"),
    ],
)
def test_what_is_lacking_is_said(mitigated: pd.DataFrame, cut, said: str) -> None:
    frame = cut(mitigated)
    assert said in "; ".join(lacking(frame))
    with pytest.raises(UserError, match=said):
        answer(frame)


def test_a_fit_that_does_not_converge_is_no_answer(mitigated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xstilts.results.question.crossed.STEPS", 1)
    found = answer(mitigated)
    one = found.primary
    assert found.verdict == Verdict.CANNOT_TELL
    assert "did not converge" in one.judgement.reason
    estimates = (one.harm, one.shift.low, one.shift.high, one.shift.gap, one.shift.slope, one.shift.unseen)
    assert all(np.isnan(estimate.value) and np.isnan(estimate.se) for estimate in estimates)
    said, _ = words.told(found, mitigated)
    text = "\n".join(said)
    assert "did not converge" in text
    assert "nan" not in text
    assert {check.verdict for check in checks(mitigated)} == {"cannot tell", "no data"}


def test_a_single_intermediate_task_speaks_of_itself(mitigated: pd.DataFrame) -> None:
    found = answer(mitigated[mitigated["inter"].isin(["none", "qqp"])])
    assert found.primary.shift.inters == 1
    assert "Of intermediate tasks there is one" in words.reach(found.primary)


def test_one_recipe_is_answered_for_and_matched_first(mitigated: pd.DataFrame) -> None:
    both = pd.concat([mitigated, mitigated.assign(recipe="tuned", value=50.0)])
    assert Scope.of(both).recipe == "matched"
    assert answer(both).primary.harm.value == pytest.approx(answer(mitigated).primary.harm.value)
    assert Scope.of(both, recipe="tuned").recipe == "tuned"
    with pytest.raises(UserError, match="matched"):
        Scope.of(both, recipe="mached")
    with pytest.raises(UserError, match="which world"):
        Scope.of(pd.concat([both, both.assign(world="toy")]))


def test_models_by_size(mitigated: pd.DataFrame) -> None:
    assert models(mitigated.sample(frac=0.1, random_state=0)) == ["base", "large", "xl"]
