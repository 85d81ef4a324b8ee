"""Command lines become plans, in this process and with nothing but planning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from xstilts import files, task
from xstilts.sweep.check import check
from xstilts.sweep.command import Command
from xstilts.sweep.compose import compose, loader
from xstilts.sweep.plan import Plan

Planned = Callable[..., Plan]


@pytest.fixture(scope="session")
def found() -> ConfigLoader:
    return loader()


@pytest.fixture
def planned(tmp_path: Path, found: ConfigLoader) -> Planned:
    """The plan of a command line over a store in a fresh folder, unless another one is typed."""

    def plan(*typed: str) -> Plan:
        store = [] if any(t.startswith("store") for t in typed) else [f"store={tmp_path / 'store'}"]
        arguments = check([*typed, *store])
        named = any(t.startswith("experiment") for t in typed)
        params = compose(found, arguments, mode=RunMode.MULTIRUN).hydra.sweeper.params if named else {}
        return Command(arguments, params, found, "config").planned()

    return plan


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
