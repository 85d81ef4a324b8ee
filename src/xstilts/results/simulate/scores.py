"""The tidy table of a simulated sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xstilts.results.question.contrast import Resource
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.truth import Spread, Truth
from xstilts.results.table import COLUMNS

Array = NDArray[np.float64]
WORLD = "simulated"
#: Scores without intermediate training: at a typical low-resource language, for ten times the text, a larger model.
LEVEL = {"classification": 65.0, "tagging": 60.0, "qa": 55.0, "retrieval": 45.0}
PER_TENFOLD, PER_MODEL, UNSEEN = 6.0, 3.0, -12.0


def simulated(truth: Truth, seed: int, grid: Grid | None = None, spread: Spread | None = None) -> pd.DataFrame:
    """One row a (model, inter, target, language, seed), columns as `xstilts.results.table.COLUMNS`, `synthetic` set.

    The same seed gives the same table. Scores are in percent; every score has the noise of its test items, as
    independent draws of the part in which two runs disagree.
    """
    grid, spread = grid or Grid(), spread or Spread()
    if len(truth.low) != len(grid.models):
        raise ValueError(f"a truth for {len(truth.low)} models, and {len(grid.models)} in the grid")
    rows = grid.rows()
    rng = np.random.default_rng(seed)
    draw = _Draw(rng, {name: pd.factorize(rows[name])[0] for name in ("model", "inter", "target", "language", "seed")})
    resource = Resource.of(rows[rows["language"] != "en"].assign(text=rows["resource_gib"]))
    seen = rows["resource_gib"].to_numpy() > 0
    logs = np.where(seen, np.log10(np.where(seen, rows["resource_gib"], 1.0)) - resource.low, 0.0)
    before = _before(rows, draw, logs, seen, spread)
    change = _mean(rows, draw, truth, logs / resource.distance, seen) + _varied(draw, spread, logs)
    score = np.clip(before + np.where(rows["inter"] == "none", 0.0, change), 1.0, 99.0)
    part = score / 100
    noise = 100 * np.sqrt(part * (1 - part) * (1 - spread.agreement) / rows["count"])
    value = np.clip(score + noise * rng.normal(size=len(rows)), 0.0, 100.0)
    return tidy(rows.assign(value=value), grid)


def tidy(rows: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """The columns of a table of results, from those of a grid and `value`."""
    stage = pd.util.hash_pandas_object(rows[["model", "inter", "target", "seed"]], index=False)
    frame = rows.assign(
        regime="english",
        recipe=grid.recipe,
        seen=rows["resource_gib"] > 0,
        metric_version="simulated",
        split="test",
        synthetic=True,
        partial=False,
        collapsed=False,
        diverged=False,
        primary=True,
        world=WORLD,
        stage="evaluate-" + stage.map("{:016x}".format),
        attempt=1,
    )
    for name in COLUMNS:  # what only a real evaluation counts, such as its sub-words, is missing
        if name not in frame:
            frame[name] = pd.Series(pd.NA, frame.index, "Int64")
    return frame[[*COLUMNS]].astype({name: type_ for name, type_ in COLUMNS.items() if type_})


class _Draw:
    """Random effects by combinations of factors."""

    def __init__(self, rng: np.random.Generator, codes: dict[str, NDArray[np.int64]]) -> None:
        self.rng, self.codes = rng, codes

    def __call__(self, sd: float, *factors: str) -> Array:
        """[N]: one draw a combination, the same in all rows that have it."""
        sizes = [int(self.codes[name].max()) + 1 for name in factors]
        effects = sd * self.rng.normal(size=sizes)
        return effects[tuple(self.codes[name] for name in factors)]


def _before(rows: pd.DataFrame, draw: _Draw, logs: Array, seen: NDArray[np.bool_], spread: Spread) -> Array:
    """The score that a target training gives without intermediate task, and its own noise with any."""
    level = rows["group"].map(LEVEL).to_numpy(float) + PER_MODEL * draw.codes["model"]
    level += np.where(seen, PER_TENFOLD * logs, UNSEEN) + draw(4.0, "target") + draw(3.0, "target", "language")
    level += draw(1.0, "model", "target", "language")
    run = ("model", "inter", "target", "seed")
    level += draw(spread.run, *run) + draw(spread.run_slope, *run) * logs
    return level + draw(spread.cell, *run, "language")


def _mean(rows: pd.DataFrame, draw: _Draw, truth: Truth, place: Array, seen: NDArray[np.bool_]) -> Array:
    """Of the change; `place` is 0 at a typical low-resource language and 1 at a typical high-resource one."""

    def at(values: Sequence[float]) -> Array:
        return np.asarray(values, float)[draw.codes["model"]]

    line = at(truth.low) + (at(truth.high) - at(truth.low)) * place
    beside = truth.retrieval * (rows["group"] == "retrieval") + truth.same_task * rows["same_task"]
    return np.where(seen, line, at(truth.unseen)) + beside.to_numpy(float)


def _varied(draw: _Draw, spread: Spread, logs: Array) -> Array:
    """What tasks, languages and checkpoints add to the mean change."""
    found = np.zeros(len(logs))
    for factors in ("inter", "target", "language", "target language", "inter target", "inter language"):
        names = tuple(factors.split())
        key = "_".join(names)
        found += draw(getattr(spread, key), *names) + draw(getattr(spread, f"{key}_model"), *names, "model")
    for name in ("inter", "target"):
        found += draw(getattr(spread, f"{name}_slope"), name) * logs
        found += draw(getattr(spread, f"{name}_model_slope"), name, "model") * logs
    checkpoint = ("model", "inter", "seed")
    return found + draw(spread.checkpoint, *checkpoint) + draw(spread.checkpoint_slope, *checkpoint) * logs
