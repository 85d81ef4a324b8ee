"""A paired bootstrap over items and seeds: how far the premise and the shift hang on the test items and on the seeds.

Intermediate tasks, targets and languages stay as they are, so its intervals are of *these* and narrower than the
verdict's. An item weighs the same in every run of a draw, with and without intermediate task and in all languages
that share its id; seeds are drawn anew for each model, a seed with and without intermediate task together. Weights of
items are Poisson(1), which is the multinomial of the ordinary bootstrap but for its fixed total (Chamandy et al.
2012).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xstilts.results.question.changes import CONTROLS, NONE
from xstilts.results.question.items import METRICS, Items, parts
from xstilts.results.question.scope import Scope
from xstilts.results.tiers import tier
from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep

DRAWS = 400
Key = tuple[str, str, str, str]  # model, inter, target, language
Array = NDArray[np.float64]


def bootstrap(store: Store, sweeps: Sequence[Sweep], scope: Scope, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """At low-resource languages, a row a model and one for the shift from the smallest to the largest.

    Columns name, value, low, high (95 %, percentiles), cells (inter, target, language) behind it. Primary set only, of
    the cells whose predictions are there; empty where there are none.
    """
    scores = _scores(store, sweeps, scope, draws, seed)
    sizes = {cell["model"]: cell["parameters"] for sweep in sweeps for cell in sweep.cells}
    names = sorted({key[0] for key in scores}, key=lambda name: (sizes[name], name))
    rng = np.random.default_rng(seed)
    changes = {name: _changes({k: v for k, v in scores.items() if k[0] == name}, draws, rng) for name in names}
    rows = [_row(name, list(own.values())) for name, own in changes.items() if own]
    if len(names) > 1 and (both := sorted(set(changes[names[0]]) & set(changes[names[-1]]))):
        shifts = [changes[names[-1]][key] - changes[names[0]][key] for key in both]
        rows.append(_row(f"{names[-1]} - {names[0]}", shifts))
    return pd.DataFrame(rows, columns=["name", "value", "low", "high", "cells"])


def _row(name: str, values: Sequence[Array]) -> tuple[str, float, float, float, int]:
    """The first draw is no draw: it is the data."""
    mean = np.mean(values, axis=0)
    low, high = np.percentile(mean[1:], [2.5, 97.5])
    return name, float(mean[0]), float(low), float(high), len(values)


def _scores(store: Store, sweeps: Sequence[Sweep], scope: Scope, draws: int, seed: int) -> dict[Key, dict[int, Array]]:
    """By key and seed: the score of the data, and of every draw of items, [1 + draws]."""
    found: dict[Key, dict[int, Array]] = defaultdict(dict)
    weights: dict[str, Array] = {}
    targets = sorted({cell["target"] for sweep in sweeps for cell in sweep.cells if _wanted(cell)})
    for target in targets:
        weights.clear()
        for part in parts(store, sweeps, scope, [target]):
            cell = part.cell
            if _wanted(cell) and tier(part.resource_gib) == "low":
                key = (cell["model"], cell["inter"], target, part.language)
                found[key][cell["seed"]] = _drawn(part.read(), weights, draws, seed)
    return found


def _wanted(cell: dict[str, Any]) -> bool:
    fits = cell["group"] != "retrieval" and not cell["same_task"] and cell["metric"] in METRICS
    return fits and cell["inter"] not in CONTROLS


def _drawn(items: Items, weights: dict[str, Array], draws: int, seed: int) -> Array:
    for name in items.ids:
        if name not in weights:
            rng = np.random.default_rng([seed, crc32(name.encode())])
            weights[name] = np.concatenate([[1.0], rng.poisson(1.0, draws)])
    weight = np.stack([weights[name] for name in items.ids])
    return np.asarray(100 * (items.won @ weight) / np.maximum(items.of @ weight, 1e-9), float)


def _changes(
    scores: dict[Key, dict[int, Array]], draws: int, rng: np.random.Generator
) -> dict[tuple[str, str, str], Array]:
    """Of one model: the change by every intermediate task, with the seeds drawn anew in each draw, [1 + draws]."""
    seeds = sorted({seed for own in scores.values() for seed in own})
    drawn = np.stack([np.bincount(rng.integers(0, len(seeds), len(seeds)), minlength=len(seeds)) for _ in range(draws)])
    counts = np.vstack([np.ones(len(seeds)), drawn]).T  # [seeds, 1 + draws]
    found = {}
    for (model, inter, target, language), own in scores.items():
        none = scores.get((model, NONE, target, language), {})
        both = [k for k, seed in enumerate(seeds) if seed in own and seed in none]
        if inter == NONE or not both:
            continue
        weight = counts[both]
        pairs = np.stack([own[seeds[k]] - none[seeds[k]] for k in both])
        total = weight.sum(axis=0)
        mean = (weight * pairs).sum(axis=0) / np.maximum(total, 1)
        found[inter, target, language] = np.where(total > 0, mean, pairs.mean(axis=0))
    return found
