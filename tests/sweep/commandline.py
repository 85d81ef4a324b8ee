"""What tests of planning share beside fixtures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from xstilts import files, task
from xstilts.store import begin, publish
from xstilts.sweep.asked import here
from xstilts.sweep.plan import Plan

Planned = Callable[..., Plan]


def fill(library: Path, world: str, *tasks: str, models: tuple[str, ...] = (), **changes: Any) -> None:
    """Manifests as if a library held these tasks whole; `changes` maps TASK__LANGUAGE__SPLIT to another content."""
    for name in tasks:
        known = task.load(name)
        contents = {
            part: f"{name} {part} {changes.get(f'{name}/{part}'.replace('/', '__'), '')}" for part in known.parts
        }
        manifest = {
            "task": name,
            "format": known.format,
            "world": world,
            "source": {},
            "complete": True,
            "files": {part: {"rows": 10, "sha256": text, "expected": None} for part, text in contents.items()},
            "missing": [],
        }
        (library / "data" / name).mkdir(parents=True, exist_ok=True)
        files.write_json(library / "data" / name / "manifest.json", manifest)
    for name in models:
        (library / "models" / name).mkdir(parents=True, exist_ok=True)
        manifest = {"model": name, "world": world, "source": {}, "weights": f"weights of {name}", "tokenizer": "bpe"}
        files.write_json(library / "models" / name / "manifest.json", {**manifest, "vocabulary": 250002})


def done(plan: Plan, stage: str, weights: bool = True, **record: Any) -> Path:
    """Do a stage of a plan as a worker does, as far as the store can tell; its attempt folder."""
    folder = plan.store.enter(plan.stages[stage])
    attempt = begin(folder)
    if plan.stages[stage].kind == "train" and weights:
        (attempt / "checkpoint").mkdir()
        (attempt / "checkpoint" / "model.safetensors").write_bytes(b"w" * 1000)
    if record:
        one = plan.stages[stage]
        notes = {"machine": {"device": here(one).device}, **record.pop("notes", {})}
        files.write_json(
            attempt / "record.json", {"status": "done", "model": one.about["model"], "notes": notes, **record}
        )
    publish(folder, attempt)
    return attempt


def chain(plan: Plan, **names: Any) -> list[str]:
    """The stages of the one cell with these names."""
    found = [i for c, i in zip(plan.cells, plan.chains, strict=True) if names.items() <= c.names.items()]
    (ids,) = found
    return ids


def said(show: Callable[[Console], Any]) -> str:
    """What a person reads, on a wide screen."""
    console = Console(file=io.StringIO(), width=200)
    show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
