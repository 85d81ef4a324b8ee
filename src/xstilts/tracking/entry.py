"""What a dashboard is to say of a stage, from the store alone: who it is, its rows, its summary."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts import files
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.sweep import sweeps
from xstilts.sweep.cost import flop
from xstilts.sweep.sweeps import Sweep
from xstilts.tracking import names

Row = dict[str, Any]
Asked = dict[str, list[tuple[str, dict[str, Any]]]]  # stage id -> sweep and cell, oldest sweep first
GIB = 1 << 30
TAG = 64  # characters, W&B's limit
AXES = ("model", "inter", "regime", "target")


@dataclass(frozen=True)
class Entry:
    """One run: complete before its first row."""

    id: str
    name: str
    kind: str  # W&B's job type
    group: str | None  # the oldest sweep that asked for it
    tags: list[str]
    config: dict[str, Any]
    rows: list[Row] = field(default_factory=list)  # of history; the place of a row is its W&B step
    summary: dict[str, Any] = field(default_factory=dict)
    status: str = "running"


def asked(store: Store, wanted: Iterable[Sweep] | None = None) -> Asked:
    """Which cells of which sweeps need a stage."""
    found: Asked = {}
    every = sweeps.all_(store) if wanted is None else wanted
    for sweep in sorted(every, key=lambda s: (s.created, s.name)):
        for cell in sweep.cells:
            for stage in cell["stages"]:
                found.setdefault(stage, []).append((sweep.name, cell))
    return found


def entry(attempt: Path, cells: list[tuple[str, dict[str, Any]]], salt: str | None) -> Entry:
    """Of one attempt as it stands now; its record is there."""
    home = Folder(attempt.parents[1])
    stage = Stage.load(home.spec)
    record = files.read_json(attempt / "record.json")
    lines = rows(attempt / "metrics.jsonl")
    named = dict.fromkeys(sweep for sweep, _ in cells)
    choices = {axis: list(dict.fromkeys(cell[axis] for _, cell in cells)) for axis in (*AXES, "recipe", "seed")}
    choices["model"] = choices["model"] or [stage.about.get("model", stage.place["model"])]
    if "seed" in stage.spec:
        choices["seed"] = [stage.spec["seed"]]  # a chain's pretraining may have another than its cells
    tags = [f"{axis}:{value}"[:TAG] for axis in AXES for value in choices[axis]]
    config = {
        "stage": stage.id,
        "kind": stage.kind,
        "label": stage.label,
        "parameters": stage.about.get("parameters"),
        **{axis: values[0] if len(values) == 1 else values for axis, values in choices.items()},
        "sweeps": list(named),
        "upstream": stage.upstream,
        "spec": stage.spec,
        "numerics": record["numerics"],
        **{key: record[key] for key in ("commit", "versions", "host", "user")},
    }
    return Entry(
        id=run_id(stage.id, salt),
        name=f"{stage.label} (seed {stage.spec['seed']})" if "seed" in stage.spec else stage.label,
        kind=stage.kind,
        group=next(iter(named), None),
        tags=[*(f"sweep:{name}"[:TAG] for name in named), *tags],
        config=kept(config),
        rows=lines,
        summary=_summary(stage, attempt, record, len(lines)),
        status=record["status"],
    )


def run_id(name: str, salt: str | None) -> str:
    return f"{name}-{salt}" if salt else name


class Tail:
    """The rows of a file that somebody is still writing."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0

    def read(self) -> Iterator[Row]:
        """Those that are whole and were not read yet."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.at)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.at += len(line)
                yield _row(json.loads(line))


def rows(path: Path) -> list[Row]:
    """All whole rows of `metrics.jsonl`; an evaluation has none."""
    return list(Tail(path).read())


def _row(line: dict[str, Any]) -> Row:
    """A line under a dashboard's names; what was not finite is not there."""
    return {names.history(key): value for key, value in line.items() if value is not None}


def kept(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as the client keeps it: it loses dictionaries that are empty."""
    found = {key: kept(value) if isinstance(value, dict) else value for key, value in config.items()}
    return {key: value for key, value in found.items() if value != {}}


def _summary(stage: Stage, attempt: Path, record: dict[str, Any], lines: int) -> dict[str, Any]:
    """What is known when an attempt has ended; fewer things before."""
    notes = record["notes"]
    found: dict[str, Any] = {"status": record["status"], "rows": lines, "attempts": int(attempt.name)}
    found |= {f"result/{key}": notes.get(key) for key in ("step", "selection", "collapsed", "diverged")}
    seconds, tokens = notes.get("train_seconds", notes.get("evaluate_seconds")), notes.get("tokens")
    if seconds and tokens is not None:
        work = flop(stage, tokens) if "parameters" in stage.about else None
        found |= {
            "cost/tokens": tokens,
            "cost/flop": work,
            "cost/seconds": seconds,
            "cost/device_hours": seconds / 3600,
            "cost/tokens_per_second": tokens / seconds,
            "cost/flop_per_second": work / seconds if work is not None else None,
            "cost/peak_memory_gib": notes["peak_memory"] / GIB,
        }
    if (attempt / "scores.parquet").exists():
        found |= _scores(attempt / "scores.parquet", stage.spec["task"]["metric"])
    return {names.summary(name): value for name, value in found.items() if value is not None and not _nan(value)}


def _scores(path: Path, primary: str) -> dict[str, float]:
    """Every score, and a language's primary one: on test items where there are any, else on development items."""
    from xstilts.results.table import read_scores

    found: dict[str, float] = {}
    for language, split, metric, _, value, count in sorted(read_scores(path), key=lambda row: row[1]):  # dev, then test
        found[f"{split}/{language}/{metric}"] = value
        if metric == primary:
            found[f"score/{language}"], found[f"count/{language}"] = value, count
    return found


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
