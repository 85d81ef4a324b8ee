"""Trainings by several processes: how tests start them, wait for them, and read what they leave."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import ranks
from xstilts.stage import Stage
from xstilts.store import Folder, Store


def start(folder: Folder, size: int) -> list[BaseProcess]:
    return ranks.start(folder, size, folder.root / "said")


def said(folder: Folder) -> str:
    outputs = [*sorted(folder.root.glob("said/*.txt")), *sorted(folder.root.glob("attempts/*/log.txt"))]
    return "\n".join(f"--- {path}\n{path.read_text()}" for path in outputs)


def together(store: Path, stage: Stage, size: int) -> Path:
    """The attempt of a training by several processes, which must end well."""
    folder = Store(store).enter(stage)
    assert ranks.ended(start(folder, size)) == [0] * size, said(folder)
    assert folder.published is not None
    return folder.published


def weights(attempt: Path) -> dict[str, torch.Tensor]:
    folder = attempt / "checkpoint"
    return load_file(folder / "model.safetensors") | load_file(folder / "heads.safetensors")


def read(attempt: Path, file: str) -> dict[str, Any]:
    return json.loads((attempt / file).read_bytes())


def lines(attempt: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (attempt / "metrics.jsonl").read_text().splitlines()]


def until(over: Callable[[], bool], folder: Folder) -> None:
    end = time.monotonic() + 60
    while not over():
        assert time.monotonic() < end, said(folder)
        time.sleep(0.02)


def progress(folder: Folder) -> int:
    """Steps of the newest attempt."""
    attempts = folder.attempts()
    path = attempts[-1] / "progress.json" if attempts else None
    return read(path.parent, path.name)["done"] if path and path.exists() else 0
