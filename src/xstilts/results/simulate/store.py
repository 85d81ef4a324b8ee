"""A store of a simulated sweep, laid out as a real one: every reader of stores reads it.

There are no weights, and none of its stages could run: it is marked synthetic, in the world `simulated`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xstilts import files
from xstilts.results.simulate import items
from xstilts.results.simulate.grid import Grid, conf
from xstilts.results.simulate.scores import WORLD
from xstilts.results.table import SCORES
from xstilts.stage import Stage
from xstilts.store import Store, begin, publish
from xstilts.sweep.sweeps import Sweep

CREATED = "2026-01-01T00:00:00+00:00"


def fill(store: Store, frame: pd.DataFrame, grid: Grid, name: str = WORLD, targets: tuple[str, ...] = ()) -> Sweep:
    """Write a simulated table (`scores.simulated`) as a sweep of finished stages, and return its record.

    `targets`, of `items.TARGETS`, get predictions too, and the scores of these: a point or two beside the table's.
    """
    cells = []
    stages: dict[str, dict[str, Any]] = {}
    for key, rows in frame.groupby(["model", "inter", "target", "seed"], sort=True):
        cell = _cell(rows, dict(zip(("model", "inter", "target", "seed"), key, strict=True)), grid)
        chain = list(_chain(cell))
        cell["stages"] = [stage.id for stage in chain]
        for stage in chain:
            stages[stage.id] = {
                "kind": stage.kind,
                "upstream": stage.upstream,
                "label": stage.label,
                "model": cell["model"],
                "parameters": cell["parameters"],
            }
        for stage in chain[:-1]:
            _done(store, stage, {"selection": _selection(rows), "collapsed": False, "diverged": False})
        _evaluated(store, chain[-1], cell, rows, cell["target"] in targets)
        cells.append(cell)
    sweep = Sweep(name, CREATED, "", ["simulated"], cells, stages, grid.seen)
    sweep.save(store)
    return sweep


def _cell(rows: pd.DataFrame, names: dict[str, Any], grid: Grid) -> dict[str, Any]:
    target, first = conf("target", names["target"]), rows.iloc[0]
    return {
        **names,
        "seed": int(names["seed"]),
        "regime": "english",
        "recipe": grid.recipe,
        "parameters": int(first["parameters"]),
        "world": WORLD,
        "synthetic": True,
        "partial": False,
        "same_task": bool(first["same_task"]),
        "group": first["group"],
        "task": target["evaluate"],
        "metric": first["metric"],
        "languages": sorted(rows["language"]),
        "splits": ["test"],
    }


def _chain(cell: dict[str, Any]) -> Iterator[Stage]:
    """Intermediate training, shared by all targets; the target's own; evaluation."""
    upstream: dict[str, str] = {}
    start = {name: cell[name] for name in ("model", "inter", "seed")}
    trainings = [start] if cell["inter"] != "none" else []
    if conf("target", cell["target"])["train"]:
        trainings.append({**start, "target": cell["target"]})
    for spec in trainings:
        stage = Stage("train", {"simulated": spec}, upstream, {"label": " ".join(map(str, spec.values()))})
        upstream = {"init": stage.id}
        yield stage
    label = f"evaluate {cell['model']} {cell['inter']} {cell['target']} {cell['seed']}"
    yield Stage("evaluate", {"simulated": {**start, "target": cell["target"]}}, upstream, {"label": label})


def _selection(rows: pd.DataFrame) -> float:
    """The English score; of a target that is not tested in English, such as XCOPA, the mean score."""
    english = rows.loc[rows["language"] == "en", "value"]
    return float((english if len(english) else rows["value"]).mean())


def _done(store: Store, stage: Stage, notes: dict[str, Any]) -> Path | None:
    """Publish an attempt at a stage; None where it is done already."""
    folder = store.enter(stage)
    if folder.marker.exists():
        return None
    attempt = begin(folder)
    files.write_json(attempt / "record.json", {"status": "done", "notes": notes})
    publish(folder, attempt)
    return attempt


def _evaluated(store: Store, stage: Stage, cell: dict[str, Any], rows: pd.DataFrame, itemised: bool) -> None:
    attempt = _done(store, stage, {"machine": {"device": "simulated"}})
    if attempt is None:
        return
    if itemised:
        (attempt / "predictions").mkdir()
    scores = []
    run = int(stage.id.partition("-")[2][:12], 16)
    for language, value, count in zip(rows["language"], rows["value"], rows["count"], strict=True):
        if itemised:
            answers = items.right(cell["target"], language, int(count), float(value), run)
            table = items.predictions(cell["target"], cell["metric"], answers)
            pq.write_table(table, attempt / "predictions" / f"{language}.test.parquet", compression="zstd")
            value = 100 * float(answers.mean())
        scores.append((language, "test", cell["metric"], WORLD, float(value), int(count)))
    columns = list(zip(*scores, strict=True))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCORES, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCORES), attempt / "scores.parquet")
