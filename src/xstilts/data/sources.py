"""Where a world has the data of a task, and why it has not. Reads no data and asks no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.data import files, hub, parts, toy
from xstilts.task import Task

World = Mapping[str, Any]


def lacking(world: World, task: Task) -> str | None:
    """Why a world cannot fill a task, and what to do; None where it can, as far as can be said without trying."""
    if world["kind"] == "toy":
        return None if task.base == task.name or toy.translates(task) else f"{_nobody(task)} in the toy world"
    if world["kind"] == "hub" and not hub.elsewhere(world, task):
        return _hub(world, task)
    root, here = files.located(world, task)
    if "files" not in here.source:
        return _unpublished(task) if task.base != task.name else f"{task.name} cannot come from files"
    needed = [here.train] if here.train else here.parts
    wanted = {part: parts.patterns(here, "files", part)[0] for part in needed}
    if any(parts.find(root, patterns) for patterns in wanted.values()):
        return None
    looked = ", ".join(str(root / pattern) for pattern in wanted[needed[0]])
    return f"{task.name} has no {needed[0]} in world={world['name']}; looked for {looked}"


def _hub(world: World, task: Task) -> str | None:
    if "hub" not in task.source:
        return _unpublished(task) if task.base != task.name else hub.nowhere(task)
    section = task.source["hub"]
    name = f"github/{section['github']}" if "github" in section else f"datasets/{section['id']}"
    if world.get("mirror") and not (Path(world["mirror"]) / name).is_dir():
        return f"{task.name}: world.mirror={world['mirror']} has no {name}"
    return None


def _unpublished(task: Task) -> str:
    language = task.name.removeprefix(f"{task.base}.")
    return (
        f"{_nobody(task)}: give your own with world.translations=FOLDER, as FOLDER/{task.base}/{language}.jsonl "
        "in the columns of its format"
    )


def _nobody(task: Task) -> str:
    return f"nobody published the training data of {task.base} in {task.name.removeprefix(f'{task.base}.')}"
