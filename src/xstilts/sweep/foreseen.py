"""The memory that a stage will take, foreseen from its specification alone, before data is tokenized.

Steps and sequences have the mean lengths of `xstilts.sweep.lengths`. All embeddings are taken to train: how many do is
known when the data is tokenized, so where a table may be cut this is the bound, and the stage itself says what it takes
(`xstilts.work.fit`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xstilts import memory
from xstilts.memory import AT_ONCE, HEADROOM, VOCABULARY, WHOLE_BATCH, Device, Load, Need, Shape
from xstilts.stage import Stage
from xstilts.sweep.lengths import SEQUENCES, TOKENS

#: Square of a length's coefficient of variation: what the sequence that a token is in is longer than the mean.
VARIED = 0.25
#: Memory of GPUs that clusters have, in GB.
GPUS = (24, 40, 80, 141)
MOST = 16  # GPUs that are thought of for one training


@dataclass(frozen=True)
class Foreseen:
    """Of one stage."""

    need: Need
    bound: bool  # whether it may be less, by embeddings that do not train


def foresee(stage: Stage, device: str, least: bool = False, shards: int = 1) -> Foreseen:
    """On `cpu` or `cuda`; `least`: with the fewest tokens at once, which a device chooses where more do not fit."""
    spec, numerics = stage.spec, stage.numerics
    model = spec["model"]
    shape = Shape.of(model["architecture"], model["config"], int(stage.about["parameters"]))
    budget = numerics["micro_tokens"] or AT_ONCE[device][-1 if least else 0]
    recipe = spec.get("recipe") or {}
    where = Device(device, (recipe or spec)["precision"] == "bf16")
    if stage.kind == "evaluate":
        form = spec["task"]["format"]
        return Foreseen(memory.evaluating(shape, where, Load(form, budget, TOKENS[form])), False)
    formats = [entry["task"]["format"] for entry in spec["mixture"]]
    dropout = recipe["dropout"]
    dropout = model["config"].get("hidden_dropout_prob", 0.1) if dropout is None else dropout
    best = recipe["checkpoint"] == "best"
    needs = [
        memory.training(shape, shape.vocabulary, where, _load(form, recipe, budget), dropout, shards, best)
        for form in formats
    ]
    cut = numerics["embeddings"] != "whole" and VOCABULARY not in formats
    return Foreseen(max(needs, key=lambda need: need.total), cut)


def fewest(stages: Iterable[Stage]) -> dict[int, int | None]:
    """GB of a GPU -> the fewest that hold any of these trainings, each an equal share; None where MOST do not.

    With the whole table, and the fewest tokens at once.
    """
    stage = max(stages, key=lambda stage: _least(stage, 1))
    return {
        size: next((n for n in range(1, MOST + 1) if _least(stage, n) <= size * 1e9 * (1 - HEADROOM)), None)
        for size in GPUS
    }


def _least(stage: Stage, shards: int) -> int:
    return foresee(stage, "cuda", least=True, shards=shards).need.total


def _load(form: str, recipe: dict[str, Any], budget: int) -> Load:
    """The tokens of a micro-batch of a step of mean length."""
    each = min(TOKENS[form], recipe["max_length"] * SEQUENCES[form])
    step = recipe["batch_size"] * each
    tokens = step if form == WHOLE_BATCH else min(step, budget)
    return Load(form, tokens, each / SEQUENCES[form] * (1 + VARIED), tokens < step)
