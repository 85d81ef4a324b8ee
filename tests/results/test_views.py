"""What figures show, against means done by hand; what a sweep cost; what was cut."""

from __future__ import annotations

from math import isnan
from typing import Any

import pandas as pd
import pytest
from laboratory import Lab

from xstilts import files
from xstilts.results.spent import spent
from xstilts.results.table import cut, table
from xstilts.results.views import by_language, by_target, by_tier

CHANGES = {"xnli": {"en": 4.0, "de": 1.0, "sw": -1.0, "ur": -3.0, "qu": -5.0}, "tatoeba": {"de": 9.0, "sw": 9.0}}
CHANGES["xquad"] = {"en": 2.0, "de": 3.0, "sw": -6.0, "wo": -7.0}


def changing(cell: dict[str, Any], language: str, split: str, metric: str) -> float:
    return 50.0 + cell["seed"] + (cell["inter"] != "none") * CHANGES[cell["target"]][language]


def measured(lab: Lab, *targets: str, inter: str = "mnli", seeds: int = 2) -> pd.DataFrame:
    for target in targets:
        for seed in range(seeds):
            lab.cell(target, seed=seed, value=changing)
            lab.cell(target, inter, seed=seed, value=changing)
    lab.sweep()
    return table(lab.store)


def test_changes_of_a_target_are_paired_by_seed(lab: Lab) -> None:
    found = by_target(measured(lab, "xquad")).set_index("language")
    assert found["change"].to_dict() == CHANGES["xquad"]
    assert set(found["seeds"]) == set(found["of"]) == {2}


def test_a_mean_over_targets_is_without_same_task_pairs_and_retrieval(lab: Lab) -> None:
    found = by_language(measured(lab, "xnli", "xquad", "tatoeba", inter="squad")).set_index("language")
    assert set(found["over"]) == {"xnli"}, "squad trains on xquad's data"
    assert found["change"].to_dict() == CHANGES["xnli"]


@pytest.mark.parametrize(("targets", "over"), [(["xnli", "tatoeba"], "tatoeba"), (["xnli"], "xnli")])
def test_what_has_no_other_target_is_shown_over_those_it_has(lab: Lab, targets: list[str], over: str) -> None:
    found = by_tier(measured(lab, *targets, inter="mnli"))
    assert set(found["over"]) == {over}


def test_tiers_are_means_over_targets_of_means_over_languages(lab: Lab) -> None:
    found = by_tier(measured(lab, "xnli", "xquad", inter="squad")).set_index("tier")
    assert found["change"].to_dict() == {"high": 1.0, "low": -2.0, "unseen": -5.0}
    assert found["languages"].to_dict() == {"high": 1, "low": 2, "unseen": 1}


def test_a_missing_seed_is_counted_and_a_missing_cell_is_no_zero(lab: Lab) -> None:
    lab.cell("xnli", value=changing)
    lab.cell("xnli", "squad", value=changing)
    lab.cell("xnli", seed=1, value=changing)
    lab.cell("xnli", "squad", seed=1, value=None)
    lab.cell("xquad", value=changing)
    lab.cell("xquad", "mnli", value=None)
    lab.sweep()
    found = by_target(table(lab.store)).set_index(["target", "language"])
    assert (found.loc[("xnli", "sw"), ["change", "seeds", "of"]] == [-1.0, 1, 2]).all()
    assert isnan(found.loc[("xquad", "sw"), "change"])
    assert found.loc[("xquad", "sw"), "seeds"] == 0


def test_hours_of_shared_stages_are_counted_once_and_the_rest_is_saved(lab: Lab) -> None:
    first, second = lab.cell("xnli"), lab.cell("xquad")
    second["stages"] = [first["stages"][0], second["stages"][1]]
    stages = {first["stages"][0]: "train", first["stages"][1]: "evaluate", second["stages"][1]: "evaluate"}
    about = {"label": "x", "upstream": {}, "model": "base", "parameters": 1}
    sweep = lab.sweep(stages={stage: {"kind": kind, **about} for stage, kind in stages.items()})
    for stage, seconds in zip(stages, (7200, 3600, 1800), strict=True):
        path = lab.store.folder(stage).published
        assert path is not None
        files.write_json(path / "record.json", {**files.read_json(path / "record.json"), "seconds": seconds})
    found = spent(lab.store, [sweep]).set_index("kind")
    columns = ["stages", "uses", "done", "measured", "hours", "saved"]
    assert found.loc["train", columns].tolist() == [1, 2, 1, 1, 2.0, 2.0]
    assert found.loc["evaluate", columns].tolist() == [2, 2, 2, 2, 1.5, 0.0]
    assert found.loc["evaluate", "tokens"] == 2000


def test_cut_tokens_are_in_the_table(lab: Lab) -> None:
    lab.cell("xnli", cut=30)
    lab.cell("xquad")
    lab.cell("tatoeba", value=None, cut=5)
    lab.sweep()
    frame = table(lab.store)
    columns = ["tokens", "cut_tokens", "cut_in_training"]
    by = frame.groupby("target")[columns].max()
    assert by.loc["xnli"].tolist() == [1000, 30, 30]
    assert by.loc["tatoeba"].isna().all(), "not done is not known"
    assert cut(frame)[["target", *columns]].to_numpy().tolist() == [["xnli", 1000, 30, 30]]
