"""The same fits with one thing changed: each check changes what it says, and only that."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xstilts.results.question.changes import changes, means, primary_set
from xstilts.results.question.numerics import numerics
from xstilts.results.question.ratio import examples, ratio
from xstilts.results.question.robustness import Check, checks, common, leave_out, table
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.truth import TRUTHS, Spread
from xstilts.store import Store, publish

GRID = Grid(
    inters=("none", "mnli", "qqp", "squad", "ccg"), targets=("xnli", "xcopa", "udpos", "panx", "tatoeba"), seeds=2
)
CALM = Spread(**{name: value / 4 for name, value in vars(Spread()).items() if name != "agreement"}, agreement=0.97)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rows = simulated(TRUTHS["mitigates"], 2, GRID, CALM)
    halved = rows[rows["inter"] == "qqp"].assign(inter="mlm_en")
    tuned = rows.assign(recipe="tuned", value=rows["value"] + 2.0 * (rows["inter"] != "none"))
    return pd.concat([rows, halved, tuned], ignore_index=True)


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> dict[str, Check]:
    machines = pd.Series("one", index=frame["stage"].unique())
    machines[frame.loc[(frame["inter"] == "ccg") & (frame["recipe"] == "matched"), "stage"].unique()] = "other"
    frame = frame.assign(stage=frame["stage"] + frame["recipe"])
    both = [machines.set_axis(machines.index + recipe) for recipe in ("matched", "tuned")]
    return {check.name: check for check in checks(frame, numerics=pd.concat(both))}


def test_every_check_is_there_and_agrees_on_a_clear_case(found: dict[str, Check]) -> None:
    assert {name for name, check in found.items() if check.verdict == "no data"} == set()
    clear = set(found) - {"with retrieval and same-task pairs", "recipe=tuned", "against inter=mlm_en"}
    assert {found[name].verdict for name in clear} == {"mitigates"}


def test_logits_are_logits(found: dict[str, Check]) -> None:
    logit = found["logit scale"]
    assert logit.unit == "log odds"
    assert logit.harm.value == pytest.approx(found["primary set"].harm.value / 100 / 0.24, rel=0.15)


def test_another_recipe_is_another_answer(found: dict[str, Check]) -> None:
    gain = found["recipe=tuned"].harm.value - found["primary set"].harm.value
    assert gain == pytest.approx(2.0, abs=0.05)
    assert found["recipe=tuned"].shift.value == pytest.approx(found["primary set"].shift.value, abs=0.05)


def test_the_control_stands_in_for_none(found: dict[str, Check]) -> None:
    control = found["against inter=mlm_en"]
    assert abs(control.harm.value) < 1.5  # a control that is as harmful leaves no harm
    assert control.pairs < found["primary set"].pairs + 1


def test_pairs_of_two_numerics_are_counted_and_left_out(found: dict[str, Check]) -> None:
    one = found["pairs of equal numerics"]
    assert one.pairs < one.of == found["primary set"].of
    assert one.note == f"{one.of - one.pairs} pairs mix two"


def test_small_tests_and_flagged_runs_are_left_out(frame: pd.DataFrame, found: dict[str, Check]) -> None:
    assert found["tests of more than 100 items"].pairs < found["primary set"].pairs
    flagged = frame.assign(collapsed=(frame["inter"] == "qqp") & (frame["seed"] == 0))
    check = {c.name: c for c in checks(flagged)}["without collapsed or diverged runs"]
    assert 0 < check.of - check.pairs == int(check.note.split()[0])


def test_tokens_move_the_languages_and_not_the_tiers(found: dict[str, Check]) -> None:
    tokens, gib = found["tokens for GiB"], found["primary set"]
    assert tokens.pairs == gib.pairs
    assert tokens.gap.value != pytest.approx(gib.gap.value, abs=1e-3)
    assert tokens.harm.value == pytest.approx(gib.harm.value, abs=0.6)


def test_what_nobody_has_is_no_data(frame: pd.DataFrame) -> None:
    alone = checks(frame[(frame["recipe"] == "matched") & (frame["inter"] != "mlm_en")])
    missing = {check.name for check in alone if check.verdict == "no data"}
    assert missing == {"pairs of equal numerics", "against inter=mlm_en"}
    row = table(alone).set_index("check").loc["against inter=mlm_en"]
    assert row[["harm", "harm_low", "shift_high", "gap"]].isna().all()
    assert row["pairs"] == 0


ENDS = ["harm", "harm_low", "harm_high", "shift", "shift_low", "shift_high", "gap"]


@pytest.mark.parametrize("gone", ["base", "xl"])
def test_a_check_that_lacks_an_end_of_the_question_answers_for_no_other_models(frame: pd.DataFrame, gone: str) -> None:
    """Of the two models that are left it would have an answer; it is not to the question."""
    lost = (frame["recipe"] == "tuned") & (frame["model"] == gone)
    there = table(checks(frame[~lost])).set_index("check").loc["recipe=tuned"]
    asked = table(checks(frame.assign(value=frame["value"].mask(lost)))).set_index("check").loc["recipe=tuned"]
    for row in (there, asked):
        assert row["verdict"] == "no data"
        assert row["note"] == f"no pair at model={gone}"
        assert row[ENDS].isna().all()


def test_leaving_out_the_only_target_of_a_model_says_so(frame: pd.DataFrame) -> None:
    averaged = means(primary_set(changes(frame[frame["recipe"] == "matched"])))
    small = averaged[(averaged["model"] != "xl") | (averaged["target"] == "udpos")]
    found = {check.name: check for check in leave_out(small, "target")}
    assert found["without target=udpos"].verdict == "no data"
    assert found["without target=udpos"].note == "no pair at model=xl"
    assert np.isnan(found["without target=udpos"].harm.value)
    assert not np.isnan(found["without target=panx"].harm.value)


def test_a_model_between_the_ends_is_missed_by_the_line_alone(frame: pd.DataFrame) -> None:
    matched = frame[frame["recipe"] == "matched"]
    gone = matched.assign(value=matched["value"].mask(matched["model"] == "large"))
    rows = table(checks(gone)).set_index("check")
    line = "a line over log size through all models"
    assert rows.loc[line, "note"] == "no pair at model=large"
    assert rows.loc["primary set", "verdict"] == "mitigates"


def test_leaving_one_out(frame: pd.DataFrame) -> None:
    averaged = means(primary_set(changes(frame[frame["recipe"] == "matched"])))
    every = leave_out(averaged, "target")
    assert [check.name for check in every] == [f"without target={name}" for name in sorted(averaged["target"].unique())]
    assert all(check.verdict == "mitigates" for check in every)
    assert sum(check.pairs for check in every) == (len(every) - 1) * int(averaged["seeds"].sum())


def test_common_cells_are_those_of_every_model(frame: pd.DataFrame) -> None:
    averaged = means(primary_set(changes(frame[frame["recipe"] == "matched"])))
    gone = (averaged["model"] == "large") & (averaged["target"] == "udpos")
    kept = common(averaged.assign(change=averaged["change"].mask(gone)))
    assert set(kept["target"]) == {"xnli", "xcopa", "panx"}
    assert (kept.groupby(["inter", "target", "language"]).size() == 3).all()


def test_the_ratio_of_parameters_to_examples_is_a_slope() -> None:
    rows = means(primary_set(changes(simulated(TRUTHS["no harm"], 2, GRID, CALM))))
    assert examples("mnli") == 392702
    assert np.isnan(examples("ccg"))
    assert np.isnan(examples("unheard_of"))
    logs = np.log10(rows["parameters"]) - np.log10(rows["inter"].map(examples))
    steeper = rows.assign(change=rows["change"] + 2.0 * logs.fillna(0.0))
    assert ratio(steeper).value - ratio(rows).value == pytest.approx(2.0, abs=1e-6)
    low, high = ratio(rows).interval(0.999)
    assert low < 0 < high


def test_how_many_embeddings_a_training_trains_is_of_its_data_and_not_of_its_machine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, name in enumerate(("train-a", "train-b", "evaluate-a", "evaluate-b")):
        attempt = tmp_path / "stages" / name / "attempts/1"
        attempt.mkdir(parents=True)
        machine = {"device": "cpu", "embeddings": 100 + number}
        (attempt / "record.json").write_text(json.dumps({"status": "done", "notes": {"machine": machine}}))
        publish(store.folder(name), attempt)
    cells = [{"stages": ["train-a", "evaluate-a"]}, {"stages": ["train-b", "evaluate-b"]}]
    found = numerics(store, [SimpleNamespace(cells=cells)])  # type: ignore[list-item]
    assert found.to_dict() == {"evaluate-a": "device=cpu", "evaluate-b": "device=cpu"}
