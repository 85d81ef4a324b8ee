"""The learning rate a (model, format): by English selection scores, and only where every rate had its chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from laboratory import Lab

from xstilts.config import typed
from xstilts.errors import UserError
from xstilts.results.tuned import main, tuned
from xstilts.stage import Stage
from xstilts.task import load

Trainings = dict[str, dict[str, Any]]


def train(lab: Lab, task: str, lr: float, score: float | None, model: str = "base", seed: int = 0) -> tuple[str, Any]:
    """A training of a target that was scored on its selection set, and what a sweep records of it."""
    entry = {"name": task, "task": load(task).identity()}
    spec = {"model": model, "mixture": [entry], "recipe": {"lr": lr, "steps": 7}, "seed": seed}
    stage = Stage("train", spec, about={"model": model, "label": f"{model} > {task}"})
    lab.execute(stage, True, selection=score)
    return stage.id, {"kind": "train", "label": stage.label, "upstream": {}, "model": model, "parameters": 1}


def sweep(lab: Lab, *trainings: tuple[str, Any], inter: str = "none") -> None:
    lab.sweep("tune", cells=[{"inter": inter}], stages=dict(trainings))


def test_the_best_mean_over_trainings_and_seeds_wins(lab: Lab) -> None:
    """One task likes the higher rate better than the other dislikes it; the formats are apart."""
    scores = {("mnli", 1e-5): (70, 72), ("mnli", 2e-5): (60, 62), ("pawsx", 1e-5): (50, 50), ("pawsx", 2e-5): (70, 70)}
    runs = [train(lab, task, lr, own[seed], seed=seed) for (task, lr), own in scores.items() for seed in (0, 1)]
    runs += [train(lab, "squad", lr, score) for lr, score in ((1e-5, 80.0), (2e-5, 79.0))]
    runs += [train(lab, "squad", lr, score, model="large") for lr, score in ((1e-5, 80.0), (2e-5, 80.0))]
    sweep(lab, *runs)
    assert tuned(lab.store, "tune") == {
        "base": {"classification": {"lr": 2e-5}, "span": {"lr": 1e-5}},
        "large": {"span": {"lr": 1e-5}},
    }


def test_what_is_printed_is_a_section_of_a_recipe(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(lab, train(lab, "squad", 1e-5, 80.0), train(lab, "squad", 5e-6, 79.0))
    assert main([str(lab.store.root), "tune"]) == 0
    section = yaml.safe_load(capsys.readouterr().out)
    assert typed("recipe", {"name": "tuned", **section}, "tuned").models["base"]["span"].lr == 1e-5


def test_pretraining_of_toy_models_is_not_tuned(lab: Lab) -> None:
    sweep(lab, train(lab, "toy_pretrain", 3e-3, 50.0), train(lab, "squad", 1e-5, 80.0))
    assert tuned(lab.store, "tune") == {"base": {"span": {"lr": 1e-5}}}


def test_what_cannot_be_compared_is_refused(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(lab, train(lab, "mnli", 1e-5, 70.0), train(lab, "mnli", 2e-5, 70.0), train(lab, "pawsx", 1e-5, 70.0))
    with pytest.raises(UserError, match="not every training of model=base on classification was done at every rate"):
        tuned(lab.store, "tune")
    sweep(lab, train(lab, "panx", 1e-5, None))
    with pytest.raises(UserError, match="base > panx was not scored on a selection set"):
        tuned(lab.store, "tune")
    sweep(lab, train(lab, "snli", 1e-5, 70.0), inter="squad")
    assert main([str(lab.store.root), "tune"]) == 2
    assert "sweep=tune has inter=squad: rates are chosen without" in capsys.readouterr().err
    assert main([str(Path("nowhere"))]) == 2


def test_what_is_not_done_is_said(lab: Lab) -> None:
    entry = {"name": "squad", "task": load("squad").identity()}
    stage = Stage(
        "train", {"mixture": [entry], "recipe": {"lr": 1.0}}, about={"model": "base", "label": "base > squad"}
    )
    lab.execute(stage, False)
    sweep(lab, (stage.id, {"kind": "train"}))
    with pytest.raises(UserError, match="base > squad is not done: do=retry"):
        tuned(lab.store, "tune")
