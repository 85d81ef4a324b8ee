"""A training as the mirror sees it: a store, an attempt that grows, and the process that follows it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xstilts.config import Tracker
from xstilts.stage import Stage
from xstilts.store import Folder, Store, begin, publish
from xstilts.sweep.sweeps import Sweep
from xstilts.tracking.live import Live
from xstilts.work.attempt import Attempt

ONLINE = Tracker(mode="online")
LABEL = "tiny > topic"
SPEC = {
    "model": {"config": {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2}},
    "mixture": [],
    "recipe": {"lr": 1e-3, "steps": 100},
    "seed": 3,
}
CELL = {
    "model": "tiny", "inter": "none", "regime": "english", "target": "topic", "recipe": "smoke", "seed": 3,
    "parameters": 10_000, "world": "toy", "synthetic": True, "partial": False, "same_task": False,
    "group": "classification", "task": "topic", "metric": "accuracy", "languages": ["en", "sw"], "splits": ["test"],
}  # fmt: skip


class Training:
    """One stage of a sweep of one cell; `attempt()` begins an execution of it."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        about = {"label": LABEL, "model": "tiny", "parameters": 10_000}
        self.stage = Stage("train", SPEC, {}, about, {"model": "tiny"}, {"device": "cpu"})
        self.home: Folder = self.store.enter(self.stage)
        self.id = self.stage.id
        stages = {
            self.id: {"kind": "train", "upstream": {}, **about},
            "evaluate-0": {"kind": "evaluate", "upstream": {}},
        }
        cell = {**CELL, "stages": list(stages)}
        Sweep("first", "2026-01-01", "someone", [], [cell], stages, {"tiny": {"en": 1.0}}).save(self.store)

    def attempt(self) -> Writing:
        return Writing(
            self, Attempt(self.stage, begin(self.home), self.home, {}, lambda event: None, threading.Event())
        )


class Writing:
    """One execution: rows as `xstilts.work.train` writes them, a step each, and its end."""

    def __init__(self, training: Training, attempt: Attempt) -> None:
        self.training, self.attempt = training, attempt
        self.path = attempt.folder / "metrics.jsonl"
        attempt.write_record("running")

    def rows(self, start: int, stop: int) -> None:
        with self.path.open("a") as file:
            for step in range(start, stop):
                file.write(json.dumps({"step": step, "lr": 1e-3, "tokens": 10 * step, "loss": 1 / (step + 1)}) + "\n")

    def end(self, status: str) -> None:
        if status == "done":
            self.attempt.note(tokens=1000, train_seconds=2.0, peak_memory=1 << 30, step=100, selection=51.5)
        self.attempt.write_record(status, ended=time.time())
        if status == "done":
            publish(self.training.home, self.attempt.folder)


class Following(Live):
    """The real follower; what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.say = self.said.append

    def begin(self, writing: Writing, tracker: Tracker = ONLINE) -> subprocess.Popen[str]:
        self.follow(asdict(tracker), writing.attempt.folder)
        assert self.process is not None
        return self.process


def steps(rows: list[dict[str, Any]]) -> list[int]:
    """What history says, by our own step."""
    return [row["trainer/step"] for row in rows]
