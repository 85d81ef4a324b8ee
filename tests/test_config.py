"""The schema: what it takes, and how it says what it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xstilts.config import GROUPS, SCHEMAS, VALUES, Config, Do, Entry, Keep, Numerics, Target, explain, typed
from xstilts.errors import UserError
from xstilts.sweep.command import Command

MODEL = {"name": "m", "architecture": "xlm-roberta", "parameters": 1, "retrieval_layer": 1, "seen": {"en": 1.5}}


def test_every_verb_is_answered() -> None:
    assert all(callable(getattr(Command, verb.name)) for verb in Do)
    assert all(verb.value for verb in (*Do, *Keep))


def test_groups_and_values_are_the_whole_configuration() -> None:
    assert sorted({*GROUPS, *VALUES}) == sorted(Config.__dataclass_fields__)
    assert set(SCHEMAS) == set(GROUPS)


def test_a_target_is_a_chain_of_mixtures_of_entries() -> None:
    target = typed("target", {"name": "t", "evaluate": "x", "train": [[{"name": "a", "tasks": ["b", "c"]}], []]}, "t")
    assert isinstance(target, Target)
    assert target.train == [[Entry("a", ["b", "c"])], []]


@pytest.mark.parametrize(
    ("group", "values", "said"),
    [
        ("model", {**MODEL, "parameters": "many"}, ["model=mine", "parameters", "many"]),
        ("model", {**MODEL, "arcitecture": "x"}, ["unknown key 'arcitecture'", "did you mean 'architecture'"]),
        ("model", {k: v for k, v in MODEL.items() if k != "architecture"}, ["'architecture' has no value"]),
        ("model", {**MODEL, "pretrain": [{"name": "a"}]}, ["tasks", "no value"]),
        (
            "recipe",
            {"name": "r", "common": {"lrr": 1}},
            ["unknown key 'common.lrr'", "did you mean 'lr'", "batch_size"],
        ),
        ("recipe", {"name": "r", "tasks": {"mnli": {"epoch": 1}}}, ["unknown key 'tasks.mnli.epoch'", "'epochs'"]),
        ("recipe", {"name": "r", "common": {"precision": "fp16"}}, ["no such choice", "fp32", "bf16"]),
        ("recipe", {"name": "r", "common": {"lr": "fast"}}, ["common.lr=fast", "a number"]),
        ("target", {"name": "t", "evaluate": "x", "train": [[{"nam": "a"}]]}, ["unknown key 'nam'", "'name'"]),
        ("regime", {"name": "r", "mlm": {"name": "m", "tasks": ["t"], "rate": "half"}}, ["mlm.rate=half", "a number"]),
        ("world", {"name": "w", "kind": "toy", "complete": "perhaps"}, ["complete", "true, false"]),
        ("inter", {"name": "i", "mixture": [{"name": "a", "task": ["t"]}]}, ["unknown key", "'tasks'"]),
    ],
)
def test_a_mistake_in_a_file_is_named_in_one_line(group: str, values: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        typed(group, values, "mine")
    message = str(caught.value)
    assert message.startswith(f"{group}=mine: ")
    assert len(message.splitlines()) == 1
    for words in said:
        assert words.lower() in message.lower()


@pytest.mark.parametrize(
    "changes",
    [{"device": "gpu"}, {"threads": 0}, {"micro_tokens": 0}, {"save_every": -1.0}, {"save_every": float("nan")}],
)
def test_numerics_that_cannot_be(changes: dict[str, Any]) -> None:
    (key,) = changes
    with pytest.raises(UserError, match=f"numerics.{key}="):
        Numerics(**changes)


def test_numerics_that_can_be() -> None:
    Numerics("cuda", None, None, 0.0)
    Numerics("cpu", 4, 512)


def test_from_is_called_from() -> None:
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.merge(OmegaConf.structured(Config), {"start": "here"})
    assert explain(caught.value) == "from=here: no such choice; valid choices: evaluate, inter, target"
