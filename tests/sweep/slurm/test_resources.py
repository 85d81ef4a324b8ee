"""What a stage asks for."""

from __future__ import annotations

import pytest
from house import KEYS, stage

from xstilts.errors import UserError
from xstilts.sweep.asked import Asked
from xstilts.sweep.slurm.resources import Settings


def settings(**keys: object) -> Settings:
    return Settings({**KEYS, **keys})


def test_the_most_exact_key_wins() -> None:
    stages = {"any": {"train": {"mem_gb": 16, "timeout_min": 90}}, "base": {"train": {"mem_gb": 32}}}
    shape = settings(stages=stages).shape(stage("train", 0))
    assert (shape["mem_gb"], shape["timeout_min"]) == (32, 90)
    shape = settings(stages=stages).shape(stage("evaluate", 0))
    assert (shape["mem_gb"], shape["timeout_min"]) == (8, 60)


def test_null_is_not_asked_for() -> None:
    assert "mem_gb" not in settings(stages={"any": {"train": {"mem_gb": None}}}).shape(stage("train", 0))


def test_ours_are_not_slurm_s() -> None:
    assert not {"mode", "stages", "limits", "max_jobs", "submitit_folder"} & set(settings().shape(stage("train", 0)))


def test_typing_errors_are_named() -> None:
    with pytest.raises(UserError, match="mem_gb"):
        settings(stages={"any": {"train": {"mem_gbs": 1}}}).shape(stage("train", 0))
    with pytest.raises(UserError, match="train"):
        settings(stages={"xl": {"trane": {}}}).check()


@pytest.mark.parametrize(
    ("ending", "mem_gb", "timeout_min"), [("OUT_OF_MEMORY", 16, 60), ("TIMEOUT", 8, 120), ("FAILED", 8, 60)]
)
def test_more_of_what_was_short(ending: str, mem_gb: int, timeout_min: int) -> None:
    shape = settings().shape(stage("train", 0))
    more = settings().more(shape, {"shape": shape}, ending)
    assert (more["mem_gb"], more["timeout_min"]) == (mem_gb, timeout_min)


@pytest.mark.parametrize(
    ("keys", "gpus"),
    [
        ({}, 1),
        ({"gpus_per_node": 4}, 4),
        ({"gpus_per_node": 4, "tasks_per_node": 4, "nodes": 2, "mode": "pool"}, 1),
        ({"gpus_per_node": 0}, 0),
        ({"gpus_per_node": None, "gres": "gpu:2"}, 2),
        ({"gpus_per_node": None, "gres": "gpu:a100:3"}, 3),
        ({"gpus_per_node": None, "gres": "gpu"}, 1),
        ({"gpus_per_node": None, "gres": "shard:8"}, 0),
    ],
)
def test_what_a_plan_counts(keys: dict[str, object], gpus: int) -> None:
    here = stage("train", 0)
    assert settings(**keys, partition="big").asked(here) == Asked("big", gpus, 8e9, device="cpu")
    here.numerics["device"] = "auto"
    assert settings(**keys).asked(here).device == ("cuda" if gpus else "cpu")


@pytest.mark.parametrize("gpus", [{"gpus_per_node": 4}, {"gpus_per_node": None, "gpus_per_task": 1}])
def test_several_tasks_are_a_training_s_and_have_a_gpu_each(gpus: dict[str, object]) -> None:
    keys = {"tasks_per_node": 4, "nodes": 2, **gpus}
    found = settings(stages={"any": {"train": keys}}, gpus_per_task=None, tasks_per_node=1)
    asked = found.asked(stage("train", 0))
    assert (asked.gpus, asked.tasks, asked.seconds(800)) == (8, 8, 100)
    assert found.asked(stage("evaluate", 0)).tasks == 1
    with pytest.raises(UserError, match=r"an evaluation is one process.*stages\.MODEL\.train"):
        settings(**keys).shape(stage("evaluate", 0))
    with pytest.raises(UserError, match="4 tasks and 1 GPUs a node"):
        settings(tasks_per_node=4, gpus_per_node=1).shape(stage("train", 0))
    assert settings(tasks_per_node=4, gpus_per_node=0).asked(stage("train", 0)).tasks == 4
