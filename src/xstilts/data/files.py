"""World `files`: the library filled from original distribution files, laid out under `world.root` as published.

Where they lie is in every task's YAML (`source.files`, see `xstilts.data.parts`). With `world.complete=false` slices
are taken for what they are: counts and missing parts are recorded, and results marked as partial.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xstilts.data import parts
from xstilts.data.library import Library
from xstilts.data.parts import World
from xstilts.errors import UserError
from xstilts.task import Task


def fill(world: World, tasks: Iterable[Task], library: Library) -> None:
    """Read tasks into the library, one after the other; raises as `xstilts.data.parts.fill` does."""
    root = Path(world["root"])
    if not root.is_dir():
        raise UserError(f"world.root={root} is not a folder; it is where the original distributions lie")
    for task in tasks:
        parts.fill(root, "files", world, task, library, source(world, task))


def source(world: World, task: Task) -> dict[str, Any]:
    """What a task is filled from: its definition, and every file with its size and time. Reads no file."""
    root = Path(world["root"])
    found = [path for part in task.parts for path in parts.find(root, parts.patterns(task, "files", part)[0])]
    stamps = {str(path.relative_to(root)): stamp(path) for path in found}
    return {"definition": parts.definition(world, task, "files"), "files": stamps}


def stamp(path: Path) -> list[int]:
    """Size and time (ns) of a file: whether it is still the same, without reading it."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
