"""World `files`: the library filled from original distribution files, laid out under `world.root` as published.

Where they lie is in every task's YAML (`source.files`, see `xstilts.data.parts`). With `world.complete=false` slices
are taken for what they are: counts and missing parts are recorded, and results marked as partial.

Training data in other languages that is the user's own lies below `world.translations`, as TASK/LANGUAGE.jsonl (or
.parquet) in the columns of the task's format. It comes before what is published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xstilts.data import parts
from xstilts.data.library import Library
from xstilts.data.parts import World
from xstilts.errors import UserError
from xstilts.task import Task

OWN = ("jsonl", "parquet")  # how files of the user's own end


def fill(world: World, tasks: Iterable[Task], library: Library) -> None:
    """Read tasks into the library, one after the other; raises as `xstilts.data.parts.fill` does."""
    for task in tasks:
        root, here = located(world, task)
        if not root.is_dir():
            raise UserError(f"world.root={root} is not a folder; it is where the original distributions lie")
        parts.fill(root, "files", world, here, library, source(world, task))


def source(world: World, task: Task) -> dict[str, Any]:
    """What a task is filled from: its definition, and every file with its size and time. Reads no file."""
    root, here = located(world, task)
    found = [path for part in here.parts for path in parts.find(root, parts.patterns(here, "files", part)[0])]
    stamps = {str(path.relative_to(root)): stamp(path) for path in found}
    return {"definition": parts.definition(world, here, "files"), "files": stamps}


def located(world: World, task: Task) -> tuple[Path, Task]:
    """The folder a task's files lie in, and the task as it is read there."""
    mine = own(world, task)
    if mine is None:
        return Path(world.get("root") or "."), task
    section = {"reader": "canonical", "parts": {"*": mine.name}}
    return mine.parent, replace(task, source={"files": section}, counts={})


def own(world: World, task: Task) -> Path | None:
    """The user's own file of a task that is another one in another language; None where there is none."""
    if not (world.get("translations") and task.base != task.name):
        return None
    language = task.name.removeprefix(f"{task.base}.")
    paths = (Path(world["translations"]) / task.base / f"{language}.{end}" for end in OWN)
    return next((path for path in paths if path.is_file()), None)


def stamp(path: Path) -> list[int]:
    """Size and time (ns) of a file: whether it is still the same, without reading it."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
