"""A small store with real stages, claims, attempts and sweeps, and no training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstilts import owner
from xstilts.stage import Stage
from xstilts.store import Store, begin, publish
from xstilts.sweep.sweeps import Sweep
from xstilts.work.attempt import Attempt

SEEN = {"en": 300.8, "de": 66.6, "sw": 1.6, "ur": 5.7}  # qu and wo are unseen
PARAMETERS = {"base": 277453056, "large": 558840832}
TARGETS: dict[str, dict[str, Any]] = {
    "xnli": {
        "group": "classification",
        "task": "xnli",
        "metric": "accuracy",
        "languages": ["en", "de", "sw", "ur", "qu"],
        "splits": ["dev", "test"],
        "same": ["mnli"],
    },
    "xquad": {
        "group": "qa",
        "task": "xquad",
        "metric": "em_f1",
        "languages": ["en", "de", "sw", "wo"],
        "splits": ["dev"],
        "same": ["squad"],
    },
    "tatoeba": {
        "group": "retrieval",
        "task": "tatoeba",
        "metric": "accuracy",
        "languages": ["de", "sw"],
        "splits": ["test"],
        "same": [],
    },
}
METRICS = {"accuracy": ["accuracy"], "em_f1": ["em_f1", "exact_match", "f1"]}
Value = Callable[[dict[str, Any], str, str, str], float | None]  # cell, language, split, metric; None: no such row


def plain(cell: dict[str, Any], language: str, split: str, metric: str) -> float:
    """A score that is different wherever it can be."""
    value = 40 + 5 * log(1 + SEEN.get(language, 0.0)) + 2 * (cell["model"] == "large") + 0.5 * cell["seed"]
    value += {"none": 0.0, "mnli": 3.0, "squad": -2.0}[cell["inter"]] * (1 if language == "en" else 0.5)
    return value + (split == "test") - 4 * (metric == "exact_match")


@dataclass
class Lab:
    """Cells made one by one, each with its own training and evaluation, and sweeps of them."""

    store: Store
    cells: list[dict[str, Any]] = field(default_factory=list)

    def cell(
        self,
        target: str = "xnli",
        inter: str = "none",
        model: str = "base",
        *,
        seed: int = 0,
        regime: str = "english",
        recipe: str = "phang2020",
        world: str = "files",
        value: Value | None = plain,
        collapsed: bool | None = False,
        diverged: bool = False,
        cut: int = 0,
        **changed: Any,
    ) -> dict[str, Any]:
        """A cell of the next sweep, evaluated unless `value` is None."""
        facts = TARGETS[target]
        cell = {
            **{"model": model, "inter": inter, "regime": regime, "target": target, "recipe": recipe, "seed": seed},
            "parameters": PARAMETERS[model],
            **{"world": world, "synthetic": False, "partial": False, "same_task": inter in facts["same"]},
            **{key: facts[key] for key in ("group", "task", "metric", "languages", "splits")},
            **changed,
        }
        train = Stage("train", {"cell": [cell[key] for key in sorted(cell)]})
        evaluation = Stage("evaluate", {"task": target}, {"checkpoint": train.id})
        cell["stages"] = [train.id, evaluation.id]
        self.execute(train, value is not None, collapsed=collapsed, diverged=diverged, cut_tokens=cut)
        if value is not None:
            self.execute(evaluation, True, self.scores(cell, value), tokens=1000, cut_tokens=cut)
        self.cells.append(cell)
        return cell

    @staticmethod
    def scores(cell: dict[str, Any], value: Value) -> pa.Table:
        rows = [
            {"language": language, "split": split, "metric": metric, "version": "v1", "value": found, "count": 100}
            for language in cell["languages"]
            for split in cell["splits"]
            for metric in METRICS[cell["metric"]]
            if (found := value(cell, language, split, metric)) is not None
        ]
        return pa.Table.from_pylist(rows)

    def execute(self, stage: Stage, done: bool, scores: pa.Table | None = None, **notes: Any) -> Path:
        """An attempt at a stage, published if it is `done`."""
        claim = self.store.claim(stage, owner.process(), owner.alive)
        assert claim is not None
        home = self.store.folder(stage.id)
        attempt = Attempt(stage, begin(home), home, {}, lambda _: None, threading.Event())
        attempt.note(**notes)
        attempt.write_record("running")
        if scores is not None:
            pq.write_table(scores, attempt.folder / "scores.parquet")
        if done:
            attempt.write_record("done")
            publish(home, attempt.folder)
        claim.release()
        return attempt.folder

    def sweep(self, name: str = "first", created: str = "2026-01-01T00:00:00+00:00", **changed: Any) -> Sweep:
        """Recorded in the store; of the cells made since the last one, unless given."""
        sweep = Sweep(name, created, "", ["launch.py"], self.cells, {}, dict.fromkeys(PARAMETERS, SEEN))
        for key, value in changed.items():
            setattr(sweep, key, value)
        sweep.save(self.store)
        self.cells = []
        return sweep
