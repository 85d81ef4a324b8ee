"""What tests of planning share beside fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xstilts import files, task
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
