"""From files to the parts of a task: where a task's YAML says they lie, how many items they must have.

A task says a world's files under `source.files` or `source.hub`, in one way:

    reader: tsv                      one of xstilts.data.readers
    options: {}                      of the reader, for all parts
    parts:                           the first key (a part, or a pattern of parts) that fits counts
      en/train: pawsx/x-final/en/train.tsv
      "*/test": {paths: "pawsx/x-final/{language}/test_2k.tsv", id: null}    with options of this part
      "*/dev": []                    this world does not have it: it will be missing, and that is no fault
    codes: {zh: cmn}                 the distribution's own code of a language

Paths are patterns with `{language}`, `{split}` and `{code}` and shell wild cards; a folder stands for its files. A part
of several files is all of them, in the order of the patterns, then of the file names. Nothing heavy is imported before
files are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.task import Task

VERSION = 2  # of the readers: raised when one of them reads the same file differently
WHOLE_FROM_SLICE = "world.complete=false accepts slices and marks results as partial"

World = Mapping[str, Any]


def definition(world: World, task: Task, kind: str) -> str:
    """Hash of all that decides what a task's files become, apart from the files."""
    known = [VERSION, task.source.get(kind), task.parts, task.identity(), task.counts, world["complete"]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def patterns(task: Task, kind: str, part: str) -> tuple[list[str], dict[str, Any]]:
    """The path patterns of a part, and the options to read it with."""
    if kind not in task.source:
        raise UserError(f"{task.name} cannot come from world.kind={kind}: its YAML has no source.{kind}")
    section = task.source[kind]
    place = next((value for key, value in section["parts"].items() if fnmatchcase(part, key)), None)
    if place is None:
        raise UserError(f"{task.name}: its YAML says nowhere in source.{kind}.parts where {part} lies")
    options = dict(section.get("options", {}))
    if isinstance(place, dict):
        options |= {key: value for key, value in place.items() if key != "paths"}
        place = place["paths"]
    language, split = part.split("/")
    names = {"language": language, "split": split, "code": section.get("codes", {}).get(language, language)}
    return [pattern.format(**names) for pattern in ([place] if isinstance(place, str) else place)], options


def find(root: Path, wanted: Sequence[str]) -> list[Path]:
    """The files of some patterns; none at all where one pattern finds nothing."""

    def files(pattern: str) -> list[Path]:
        named = sorted(root.glob(pattern), key=lambda path: (path.name, path))
        return [file for path in named for file in (sorted(path.iterdir()) if path.is_dir() else [path])]

    found = [files(pattern) for pattern in wanted]
    return [path for paths in found for path in paths] if all(found) else []


def fill(root: Path, kind: str, world: World, task: Task, library: Library, source: Mapping[str, Any]) -> None:
    """Read a task's files under `root` into the library.

    Raises `UserError` when files that are needed are not there, or with `world.complete` are not what was published,
    and `DataError` naming file and line when they cannot be read.
    """
    from xstilts.data.readers import read
    from xstilts.data.rows import table

    counts: dict[str, int] = {}
    for part in task.parts:
        wanted, options = patterns(task, kind, part)
        paths = find(root, wanted)
        if paths:
            content = table(task, read(task.source[kind]["reader"], paths, part.split("/")[0], **options))
            if content is not None:
                library.write(task, part, content)
                counts[part] = content.num_rows
    missing = [part for part in task.parts if part not in counts and task.counts.get(part) != 0]
    _check(root, kind, world, task, counts, missing)
    whole = world["complete"] or _whole(task, counts, missing)
    library.finish(task, source, world["name"], whole, missing)


def _check(root: Path, kind: str, world: World, task: Task, counts: Mapping[str, int], missing: Sequence[str]) -> None:
    """Refuse what cannot be used, or is not what the world says it is."""

    def looked(part: str) -> str:
        return "looked for " + ", ".join(str(root / pattern) for pattern in patterns(task, kind, part)[0])

    if not counts or (task.train and task.train in missing):
        needed = task.train or task.parts[0]
        raise UserError(f"{task.name} has no {needed} in world={world['name']}; {looked(needed)}")
    if world["complete"]:
        wrong = [f"{p}: {_items(counts, p)} items where {n} were published" for p, n in _differ(task, counts)]
        wrong += [f"{part}: not there ({looked(part)})" for part in missing if patterns(task, kind, part)[0]]
        if wrong:
            shown = "\n  ".join(wrong[:10] + [f"and {len(wrong) - 10} more"] * (len(wrong) > 10))
            raise UserError(f"{task.name} in {root} is not the published data set:\n  {shown}\n{WHOLE_FROM_SLICE}")


def _items(counts: Mapping[str, int], parts: str) -> int:
    """Items in a part, or in several joined by + where only their sum was published."""
    return sum(counts.get(part, 0) for part in parts.split("+"))


def _differ(task: Task, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The published counts of parts that are there and have another."""
    return [
        (parts, published)
        for parts, published in task.counts.items()
        if any(part in counts for part in parts.split("+")) and _items(counts, parts) != published
    ]


def _whole(task: Task, counts: Mapping[str, int], missing: Sequence[str]) -> bool:
    """Whether every part is known to be as published."""
    known = {part for parts in task.counts for part in parts.split("+")}
    return not missing and not _differ(task, counts) and known >= set(counts)
