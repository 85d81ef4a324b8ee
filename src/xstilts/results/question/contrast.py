"""One number a (intermediate task, target, language) from several models, and what it is at low-resource languages.

A contrast weighs models: {base: 1} asks what intermediate training does to base, {xl: 1, base: -1} how much more or
less it does to xl. Its values are fitted with

    value = low + slope * log10(GiB / GiB of a typical low-resource language) + unseen * (never seen)
            + intermediate task, target and language, crossed, each with its own level and the first two with their own
              slope; intermediate task x target; target x language, with a part that shrinks with the items of the
              test, as languages with little text have small tests; residual

The random effects are those of the *contrast*, so every model may have its own variances and correlate with the
others as it likes: this is the mixed model with unstructured covariance over models, read one contrast at a time. The
effect of an intermediate task on a model is the effect of the checkpoint that all its targets start from; over S
seeds it is the task's own effect plus the mean of S checkpoints', and its variance is estimated as what it is, from
what differs between tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xstilts.results.question.crossed import NOTHING, Array, Estimate, Fit, Grouping, fit
from xstilts.results.tiers import tier

Weights = Mapping[str, float]  # by model
KEY = ("inter", "target", "language")
FIELDS = ("change", "resource_gib", "text", "count")
ITEMS = 1000  # of a test whose sampling variance is the unit


@dataclass(frozen=True)
class Resource:
    """Where languages lie: log10 of the text that was read, 0 at the mean of the low-resource ones."""

    low: float  # mean log10 of the low-resource languages
    high: float  # and of the high-resource ones

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Resource:
        """Of means over seeds; each language counts once. NaN of a tier that has none."""
        languages = frame.drop_duplicates("language")
        logs = np.log10(languages["text"].where(languages["text"] > 0))
        tiers = languages["resource_gib"].map(tier)
        return cls(*(float(logs[tiers == name].mean()) for name in ("low", "high")))

    @property
    def distance(self) -> float:
        """From a typical low-resource language to a typical high-resource one, in powers of ten."""
        return self.high - self.low


@dataclass(frozen=True)
class Effects:
    """Of one contrast, in points. NaN where the table lacks what they need, or the fit did not converge."""

    low: Estimate  # at a typical low-resource language
    high: Estimate  # at a typical high-resource one
    gap: Estimate  # low - high: what low-resource languages have more of it, the interaction with resource
    slope: Estimate  # for ten times the text
    unseen: Estimate  # at languages that were not in the pretraining data
    rows: int
    inters: int
    targets: int
    languages: dict[str, int]  # by tier
    fit: Fit | None
    at_low: tuple[float, ...] = ()  # the fixed effects' weights in `low`
    table: pd.DataFrame | None = None  # what `contrast` gives, and `weight`: `low` is the weighted sum of its values

    @property
    def converged(self) -> bool:
        """False where there was enough to fit, and no most likely variances were found."""
        return self.fit is None or self.fit.converged

    @property
    def shares(self) -> dict[str, float]:
        """Of the variance of `low`, by what it comes from; they add up to it but for the correction for few levels."""
        return self.fit.share(self.at_low) if self.fit else {}


def contrast(frame: pd.DataFrame, weights: Weights) -> pd.DataFrame:
    """Of means over seeds (`changes.means`): a row a (inter, target, language) that every weighted model has.

    Columns inter, target, language, tier, resource_gib and text (geometric means over the models), count (of items,
    the least) and value. A language that only some of the models have seen is left out.
    """
    wide = frame[frame["model"].isin(weights)].pivot(index=[*KEY], columns="model", values=[*FIELDS])
    columns = [pd.MultiIndex.from_product([[name], [*weights]]) for name in FIELDS]
    values, read, text, count = (wide.reindex(columns=own).droplevel(0, axis=1) for own in columns)
    logs = read.where(read > 0).apply(np.log)
    keep = values.notna().all(axis=1) & (logs.notna().all(axis=1) | logs.isna().all(axis=1))
    found = pd.DataFrame(
        {
            "value": values[keep] @ pd.Series(dict(weights), dtype=float),
            "resource_gib": np.exp(logs[keep].mean(axis=1)).fillna(0.0),
            "text": np.exp(text[keep].where(text > 0).apply(np.log).mean(axis=1)).fillna(0.0),
            "count": count[keep].min(axis=1),
        }
    ).reset_index()
    sizes = {gib: tier(gib) for gib in found["resource_gib"].unique()}
    return found.assign(tier=found["resource_gib"].map(sizes).astype(object))


def effects(frame: pd.DataFrame, weights: Weights, resource: Resource | None = None) -> Effects:
    """Of means over seeds, one regime and recipe; `resource` is taken from the frame unless given."""
    rows = contrast(frame, weights)
    resource = resource or Resource.of(frame)
    tiers = rows.groupby("tier")["language"].nunique().to_dict() if len(rows) else {}
    counts = len(rows), rows["inter"].nunique(), rows["target"].nunique(), {str(k): int(v) for k, v in tiers.items()}
    seen = (rows["text"] > 0).to_numpy()
    if not counts[3].get("low") or len(rows) < 4:
        return Effects(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, *counts, None)
    logs = np.where(seen, np.log10(np.where(seen, rows["text"], 1.0)) - resource.low, 0.0)
    sloped = len(np.unique(logs[seen].round(9))) > 1
    columns = [np.ones(len(rows)), *([logs] if sloped else []), *([(~seen).astype(float)] if (~seen).any() else [])]
    found = fit(rows["value"].to_numpy(float), np.column_stack(columns), _groupings(rows, logs if sloped else None))
    width = len(columns)

    def at(*weights: float) -> Estimate:
        return found.estimate([*weights, *[0.0] * (width - len(weights))]) if found.converged else NOTHING

    rich = sloped and bool(counts[3].get("high"))
    return Effects(
        low=at(1.0),
        high=at(1.0, resource.distance) if rich else NOTHING,
        gap=at(0.0, -resource.distance) if rich else NOTHING,
        slope=at(0.0, 1.0) if sloped else NOTHING,
        unseen=at(1.0, *[0.0] * (width - 2), 1.0) if (~seen).any() else NOTHING,
        rows=counts[0],
        inters=counts[1],
        targets=counts[2],
        languages=counts[3],
        fit=found,
        at_low=(1.0, *[0.0] * (width - 1)),
        table=rows.assign(weight=found.weights[0]),
    )


def _groupings(rows: pd.DataFrame, logs: Array | None) -> dict[str, Grouping]:
    inter, target, language = (pd.factorize(rows[name], sort=True)[0] for name in KEY)
    pair, place = inter * (target.max() + 1) + target, target * (language.max() + 1) + language
    found = {
        "intermediate task": Grouping(inter),
        "target": Grouping(target),
        "language": Grouping(language),
        "intermediate task x target": Grouping(pair),
        "target x language": Grouping(place),
        "test items": Grouping(place, np.sqrt(ITEMS / np.maximum(rows["count"].to_numpy(float), 1.0))),
    }
    if logs is not None:
        found |= {
            "intermediate task, slope": Grouping(inter, logs),
            "target, slope": Grouping(target, logs),
        }
    # one level a row is the residual itself, and one level in all the intercept
    return {name: g for name, g in found.items() if 1 < len(np.unique(g.level)) < len(rows)}
