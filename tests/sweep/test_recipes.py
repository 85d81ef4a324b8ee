"""Recipes as their sources give them, and what a training makes of their sections."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from xstilts.config import Recipe, Training, typed
from xstilts.errors import UserError
from xstilts.sweep.recipes import limits, training
from xstilts.task import CONF, load


def recipe(name: str, **changed: Any) -> Recipe:
    values = yaml.safe_load((CONF / "recipe" / f"{name}.yaml").read_text())
    return typed("recipe", OmegaConf.merge(values, changed), name)


def of(name: str, *tasks: str, phase: str = "target", model: str = "large", **changed: Any) -> dict[str, Any]:
    entries = [{"name": task, "task": load(task).identity(), "rate": None} for task in tasks]
    return training(recipe(name, **changed), entries, phase, model)


# From the configuration writer of jiant's guide to XTREME: epochs, batch, longest sequence.
AUTHORS = {
    "mnli": (2, 32, 256),
    "pawsx": (5, 32, 256),
    "udpos": (10, 32, 256),
    "panx": (10, 32, 256),
    "squad": (2, 16, 384),
    "tydiqa": (2, 16, 384),
}


@pytest.mark.parametrize("task", AUTHORS)
def test_phang2020_is_what_its_authors_scripts_say(task: str) -> None:
    found = of("phang2020", task)
    assert (found["epochs"], found["batch_size"], found["max_length"]) == AUTHORS[task]
    said = {"lr": 1e-5, "warmup": 0.1, "weight_decay": 0.01, "eps": 1e-8, "clip": 1.0, "eval_every": 1000}
    assert {key: found[key] for key in said} == said
    assert (found["checkpoint"], found["selection_items"], found["patience"]) == ("best", 500, 30)


@pytest.mark.parametrize("task", ["tatoeba", "bucc"])
def test_sentences_are_embedded_whole(task: str) -> None:
    for name in ("phang2020", "matched", "tuned"):
        assert limits(recipe(name), load(task), "large")["max_length"] == 512


def test_what_phang2020_assumes_is_what_it_says_and_what_else_to_try() -> None:
    said = recipe("phang2020")
    assert said.assumed
    for key, (own, *others) in said.assumed.items():
        section, name = key.split(".")
        value = getattr(getattr(said, section), name)
        value = getattr(value, "value", value) if value is not None else getattr(said.common, name)
        assert value == own, key
        assert others, key
    assert "Not a reproduction" in said.about


def test_experiment_sensitivity_tries_what_is_assumed() -> None:
    params = yaml.safe_load((CONF / "experiment/sensitivity.yaml").read_text())["hydra"]["sweeper"]["params"]
    keys = [key.removeprefix("recipe.").replace("inter.", "common.") for key in params if "." in key]
    assert set(keys) <= set(recipe("phang2020").assumed)


def test_matched_is_steps_and_the_last_checkpoint_everywhere() -> None:
    for task in ("mnli", "squad", "panx", "hellaswag", "mewslix"):
        found = of("matched", task)
        assert (found["steps"], found["epochs"], found["checkpoint"]) == (10000, None, "last")
        assert found["eval_every"] is found["patience"] is found["selection_items"] is None
    assert of("matched", "mnli", model="base") == of("matched", "mnli", model="xl")


def test_tuned_differs_from_phang2020_by_the_learning_rate_of_a_model_and_format() -> None:
    plain, frozen = recipe("phang2020"), recipe("tuned")
    for section in ("common", "formats", "tasks", "mixture"):
        assert getattr(plain, section) == getattr(frozen, section)
    models = {"large": {"span": {"lr": 2e-5}}}
    assert of("tuned", "squad", models=models)["lr"] == 2e-5
    assert of("tuned", "squad", model="base", models=models)["lr"] == 1e-5
    assert of("tuned", "mnli", models=models)["lr"] == 1e-5
    assert of("tuned", "squad", models=models, target={"lr": 5e-6})["lr"] == 5e-6, "the grid is over what is frozen"


def test_the_control_without_a_task_takes_as_many_steps_as_mnli() -> None:
    steps = of("phang2020", "mlm_en", phase="inter")["steps"]
    assert steps == -(-load("mnli").counts["en/train"] * 2 // 32)
    assert of("matched", "mlm_en", phase="inter")["steps"] == of("matched", "mnli", phase="inter")["steps"]


def test_entries_with_a_fixed_rate_have_no_say_in_how_it_is_trained() -> None:
    mlm = {"name": "mlm", "task": load("mlm_multilingual").identity(), "rate": 0.5}
    squad = {"name": "squad", "task": load("squad").identity(), "rate": None}
    assert training(recipe("phang2020"), [squad, mlm], "inter", "large") == of("phang2020", "squad", phase="inter")


def test_several_entries_are_sampled_up_to_a_cap() -> None:
    found = of("phang2020", "mnli", "squad", phase="inter")
    assert (found["sampler"], found["temperature"], found["cap"]) == ("temperature", 1.0, 131072)
    assert of("phang2020", "mnli", phase="inter", mixture={"cap": 5}) == of("phang2020", "mnli", phase="inter")
    with pytest.raises(UserError, match=r"recipe=phang2020: cap=131072 .*needs sampler=temperature"):
        of("phang2020", "mnli", "squad", phase="inter", mixture={"sampler": "uniform"})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"common": {"lr": None}}, "does not say lr for mnli in the target phase"),
        ({"common": {"epochs": None}, "tasks": {"mnli": {"epochs": None}}}, "does not say steps or epochs"),
        ({"target": {"lr": -1.0}}, r"lr=-1\.0 for mnli in the target phase: it must be at least 0"),
        ({"target": {"warmup": 1.5}}, r"warmup=1\.5 .* it must be from 0 to 1"),
        ({"target": {"dropout": 1.0}}, r"dropout=1\.0 .* it must be from 0, and less than 1"),
        ({"target": {"max_length": 4}}, "max_length=4 .* it must be at least 8"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=f"recipe=phang2020.*{reason}"):
        of("phang2020", "mnli", **changed)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "recipe").glob("*.yaml")))
def test_every_recipe_leaves_nothing_open(name: str) -> None:
    for task in ("mnli", "squad", "panx", "hellaswag", "mewslix", "mlm_en"):
        for phase in ("inter", "target"):
            found = of(name, task, phase=phase)
            assert set(found) == {f.name for f in fields(Training)} - {"bucket"}, "which only those have that say it"
            assert (found["steps"] is None) != (found["epochs"] is None)
