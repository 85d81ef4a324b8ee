"""World `files`: the library filled from original distribution files, laid out under one folder as they were published.

A task's YAML says which reader reads them and where each part lies (`source.files`). A path is a pattern with
`{language}`, `{split}` and `{code}` (the distribution's own code of the language, from `codes`) and shell wild cards; a
part of several files is all of them, in the order of the patterns, then of the file names.

    source:
      files:
        reader: tsv
        parts: {en/train: pawsx/x-final/en/train.tsv, "*/test": "pawsx/x-final/{language}/test_2k.tsv"}
        codes: {}

A part may be a mapping with `paths` and options for its reader; `options` holds those of all parts. Keys are parts or
patterns of parts, the first that fits counts. This module imports nothing heavy: planning asks it what is stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.task import Task

VERSION = 1  # of the readers: raised when one of them reads the same file differently

World = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def stale(world: World, task: Task, library: Library) -> bool:
    """Whether the library lacks a task, or its files (by size and time) or its definition have changed since."""
    manifest = library.manifest(task.name)
    return manifest is None or manifest["world"] != world["name"] or manifest["source"] != _source(world, task)


def fill(world: World, tasks: Sequence[Task], library: Library, progress: Progress = lambda *_: None) -> None:
    """Read what is missing or stale into the library, a task at a time.

    Raises `UserError` when files that are needed are not there, or with `world.complete` are not what was published,
    and `DataError` naming file and line when they cannot be read.
    """
    if not Path(world["root"]).is_dir():
        raise UserError(f"world.root={world['root']} is not a folder; it is where the original distributions lie")
    for number, task in enumerate(tasks):
        progress(number, len(tasks), task.name)
        if stale(world, task, library):
            _fill(world, task, library)
    progress(len(tasks), len(tasks), "")


def _fill(world: World, task: Task, library: Library) -> None:
    from xstilts.data.readers import read
    from xstilts.data.rows import table

    source, counts = _source(world, task), {}
    for part in task.parts:
        paths, options = _part(Path(world["root"]), task, part)
        if paths:
            rows = read(task.source["files"]["reader"], paths, part.split("/")[0], **options)
            content = table(task, rows)
            if content is not None:
                library.write(task, part, content)
                counts[part] = content.num_rows
    missing = [part for part in task.parts if part not in counts and task.counts.get(part) != 0]
    _check(world, task, counts, missing)
    library.finish(task, source, world["name"], _whole(task, counts, missing) or world["complete"], missing)


def _check(world: World, task: Task, counts: Mapping[str, int], missing: Sequence[str]) -> None:
    """Refuse what cannot be used, or is not what the world says it is."""
    if not counts or (task.train and task.train in missing):
        needed = task.train or task.parts[0]
        raise UserError(f"{task.name} has no {needed} in world={world['name']}; {_looked(world, task, needed)}")
    if world["complete"]:
        wrong = [
            f"{parts}: {_found(counts, parts)} items where {n} were published" for parts, n in _differ(task, counts)
        ]
        wrong += [f"{part}: not there ({_looked(world, task, part)})" for part in missing]
        if wrong:
            shown = "\n  ".join(wrong[:10] + [f"and {len(wrong) - 10} more"] * (len(wrong) > 10))
            raise UserError(
                f"{task.name} in {world['root']} is not the published data set:\n  {shown}\n"
                "world.complete=false accepts slices and marks results as partial"
            )


def _found(counts: Mapping[str, int], parts: str) -> int:
    """Items in a part, or in several joined by +."""
    return sum(counts.get(part, 0) for part in parts.split("+"))


def _differ(task: Task, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Published counts of parts that are there, and are not met."""
    return [
        (parts, published)
        for parts, published in task.counts.items()
        if any(part in counts for part in parts.split("+")) and _found(counts, parts) != published
    ]


def _whole(task: Task, counts: Mapping[str, int], missing: Sequence[str]) -> bool:
    """Whether every part is known to be as published."""
    known = {part for parts in task.counts for part in parts.split("+")}
    return not missing and not _differ(task, counts) and known >= set(counts)


def _looked(world: World, task: Task, part: str) -> str:
    patterns = _patterns(task, part)[0]
    return "looked for " + ", ".join(str(Path(world["root"]) / pattern) for pattern in patterns)


def _source(world: World, task: Task) -> dict[str, Any]:
    """What a task is filled from: its definition, and every file with its size and time (ns)."""
    files = {}
    root = Path(world["root"])
    for part in task.parts:
        for path in _part(root, task, part)[0]:
            stat = path.stat()
            files[str(path.relative_to(root))] = [stat.st_size, stat.st_mtime_ns]
    definition = [VERSION, task.source.get("files"), task.parts, task.identity(), task.counts, world["complete"]]
    return {"definition": hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest(), "files": files}


def _part(root: Path, task: Task, part: str) -> tuple[list[Path], dict[str, Any]]:
    """The files of a part, none where one of its patterns finds nothing, and the options to read them with."""
    patterns, options = _patterns(task, part)
    found = [sorted(root.glob(pattern), key=lambda path: (path.name, path)) for pattern in patterns]
    return [path for paths in found for path in paths] if all(found) else [], options


def _patterns(task: Task, part: str) -> tuple[list[str], dict[str, Any]]:
    if "files" not in task.source:
        raise UserError(f"{task.name} cannot come from files: its YAML has no source.files")
    source = task.source["files"]
    place = next((value for key, value in source["parts"].items() if fnmatchcase(part, key)), None)
    if place is None:
        raise UserError(f"{task.name}: its YAML says nowhere in source.files.parts where {part} lies")
    options = dict(source.get("options", {}))
    if isinstance(place, dict):
        options |= {key: value for key, value in place.items() if key != "paths"}
        place = place["paths"]
    language, split = part.split("/")
    names = {"language": language, "split": split, "code": source.get("codes", {}).get(language, language)}
    return [pattern.format(**names) for pattern in ([place] if isinstance(place, str) else place)], options
