"""When the toy world's part of a library is older than what it would be filled with now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xstilts.data import stale, toy
from xstilts.data.library import Library
from xstilts.data.toy import models
from xstilts.task import load

WORLD: dict[str, Any] = {"name": "toy", "kind": "toy", "seed": 0, "sizes": {"train": 4, "selection": 4, "test": 4}}


@pytest.mark.parametrize(
    "change", [{"options": {"first_half": True}}, {"source": {"toy": {"level": 3}}}, {"selection": None}]
)
def test_a_changed_task_is_filled_again(tmp_path: Path, change: dict[str, Any]) -> None:
    library, task = Library(tmp_path), load("qqp")
    assert stale.task(WORLD, task, library)
    toy.fill(WORLD, [task], library)
    assert not stale.task(WORLD, task, library)
    assert stale.task(WORLD, replace(task, **change), library)
    assert stale.task({**WORLD, "seed": 1}, task, library)


def test_a_model_is_filled_again_when_its_weights_changed(tmp_path: Path) -> None:
    library, weights = Library(tmp_path / "library"), tmp_path / "weights"
    model, world = {"name": "base"}, {**WORLD, "weights": str(weights)}
    models.model("base", {**WORLD, "weights": None}, library)
    assert not stale.model({**WORLD, "weights": None}, model, library)
    weights.mkdir()
    (weights / "base.safetensors").write_bytes(b"others")
    assert stale.model(world, model, library)
    models.model("base", world, library)
    assert not stale.model(world, model, library)
    (weights / "base.safetensors").write_bytes(b"changed")
    assert stale.model(world, model, library)
