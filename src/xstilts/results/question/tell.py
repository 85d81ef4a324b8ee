"""What would tell: where the uncertainty of the answer comes from, and what more of each thing would make of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

import pandas as pd
from scipy.special import stdtrit

from xstilts.results.question.contrast import KEY, Effects, Weights

#: Of the variance of a contrast, which groupings shrink with more of what; each test has its own items.
OF = {
    "intermediate tasks": ("intermediate task", "intermediate task, slope", "intermediate task x target", "residual"),
    "targets": ("target", "target, slope", "intermediate task x target", "target x language", "test items", "residual"),
    "low-resource languages": ("language", "target x language", "test items", "residual"),
    "items a test": ("test items",),
}


@dataclass(frozen=True)
class More:
    """Twice as many of something, all else equal."""

    what: str
    now: int
    share: float  # of the variance, that shrinks with more of it; shares overlap
    reach: float  # half the width of the 95 % interval now
    doubled: float  # and with twice as many


def more(pairs: pd.DataFrame, weights: Weights, found: Effects) -> list[More]:
    """Of a contrast and the pairs (`changes.changes`) it was fitted to, what helps most first.

    Seeds are a part of every other source, since a mean over seeds varies less; with few of them their own part is
    known roughly. Of items it is the least: what they add to single runs is in the residual, with all else there.
    """
    variance = found.low.se**2
    reach = float(stdtrit(found.low.df, 0.975)) * found.low.se if found.fit else nan
    parts = {what: sum(found.shares.get(name, 0.0) for name in names) for what, names in OF.items()}
    counts = {
        "intermediate tasks": found.inters,
        "targets": found.targets,
        "low-resource languages": found.languages.get("low", 0),
        "items a test": _items(found),
    }
    own, least = _seeds(pairs, weights, found) if found.fit else (nan, 0)
    if not isnan(own):
        parts["seeds"], counts["seeds"] = own, least
    lines = []
    for what, part in parts.items():
        share = min(1.0, part / variance) if variance > 0 else nan
        lines.append(More(what, counts[what], share, reach, reach * (1 - share / 2) ** 0.5))
    return sorted(lines, key=lambda line: line.doubled)


def _items(found: Effects) -> int:
    """Of the test sets in low-resource languages, the median; 0 where nothing was fitted."""
    if found.table is None:
        return 0
    low = found.table[found.table["tier"] == "low"]
    return int(low.groupby(["target", "language"])["count"].first().median())


def _seeds(pairs: pd.DataFrame, weights: Weights, found: Effects) -> tuple[float, int]:
    """What the choice of seeds adds to the variance of the contrast at low-resource languages; the fewest of a model.

    The contrast's own weights, over one seed of one model at a time: how these sums differ between the seeds that have
    every pair of the model. NaN where a model has fewer than two such seeds.
    """
    assert found.table is not None
    weight = found.table.set_index([*KEY])["weight"]
    variance, counts = 0.0, []
    for model, factor in weights.items():
        wide = pairs[pairs["model"] == model].pivot(index=[*KEY], columns="seed", values="change").reindex(weight.index)
        sums = wide.dropna(axis=1).mul(weight, axis=0).sum()
        variance += factor**2 * float(sums.var(ddof=1)) / max(len(sums), 1)
        counts.append(len(sums))
    return variance, min(counts)


def sparse(averaged: pd.DataFrame, fewest: int = 5) -> pd.DataFrame:
    """The low-resource and unseen languages by how few (inter, target) the smallest number of a model's pairs has."""
    rows = averaged[averaged["tier"].isin(["low", "unseen"])]
    there = rows.groupby(["language", "tier", "model"])["change"].count().groupby(["language", "tier"]).min()
    return there.rename("pairs").sort_values(kind="stable").reset_index().head(fewest)
