"""Whether the library still holds what its world would fill it with now. Planning asks: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from xstilts.data import files, hub, pretrained, toy
from xstilts.data.library import Library
from xstilts.data.toy import models
from xstilts.task import Task

World = Mapping[str, Any]


class Inputs(Protocol):
    """What a plan reads of one world."""

    world: Any  # xstilts.config.World
    library: Library
    used: dict[str, Task]
    models: dict[str, Any]  # xstilts.config.Model


def outdated(inputs: Inputs) -> bool:
    """Whether any task or model that a plan reads is missing from the library or older than its source."""
    world = asdict(inputs.world)
    return any(task(world, one, inputs.library) for one in inputs.used.values()) or any(
        model(world, asdict(one), inputs.library) for one in inputs.models.values()
    )


def task(world: World, task: Task, library: Library) -> bool:
    """Whether a task has to be filled: it is not there, or its files, definition or pinned revision changed."""
    manifest = library.manifest(task.name)
    if manifest is None or manifest["world"] != world["name"]:
        return True
    if world["kind"] == "toy":
        return manifest["source"] != toy.source(dict(world), toy.localised(task))
    return _changed(manifest, (files if world["kind"] == "files" else hub).source(world, task))


def model(world: World, model: Mapping[str, Any], library: Library) -> bool:
    """Whether a model has to be filled."""
    manifest = library.model_manifest(model["name"])
    if manifest is None:
        return True
    if world["kind"] == "toy":
        return manifest["source"] != models.source(model["name"], world)
    if world["kind"] == "files":
        return manifest["world"] != world["name"] or _changed(manifest, pretrained.source(world, model["name"]))
    return manifest["world"] != world["name"] or _changed(manifest, hub.model_source(model))


def _changed(manifest: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    """Whether a filling's source says something else; it may say more, such as the commit that a branch was at."""
    return any(manifest["source"].get(key) != value for key, value in source.items())
