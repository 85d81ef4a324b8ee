"""Whether the answer hangs on a choice: the same two fits again, with one thing changed at a time.

Every check is of the models that the question is of. Where its rows leave one of these without any pair, it would
answer for other models: it says which ones lack pairs, and has NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from xstilts.results.question.answer import Counts
from xstilts.results.question.changes import CONTROLS, changes, means, primary_set, zero_shot
from xstilts.results.question.contrast import Resource, Weights, effects
from xstilts.results.question.crossed import NOTHING, Estimate
from xstilts.results.question.scope import Scope, models
from xstilts.results.question.verdict import MARGIN, judged

SMALL_TEST = 100  # items; the smallest tests of WikiANN have as many
TOKENS = Path(__file__).parent / "cc100_tokens.csv"


@dataclass(frozen=True)
class Check:
    """One way to look at it."""

    name: str
    pairs: int
    of: int
    common: int  # (intermediate task, target, language) that all models have
    harm: Estimate  # low-resource languages at the smallest model
    shift: Estimate  # from the smallest to the largest
    gap: Estimate  # of the shift, low- against high-resource languages
    verdict: str
    unit: str = "points"
    note: str = ""


def checks(
    frame: pd.DataFrame,
    scope: Scope | None = None,
    margin: float = MARGIN,
    numerics: pd.Series | None = None,
) -> list[Check]:
    """Of a table as `xstilts.results.table` gives it; a check that it has no rows for has NaN and says so.

    `numerics` says how each evaluation was computed, by stage (`numerics.numerics`): without it that check is open.
    """
    scope = scope or Scope.of(frame)
    pairs = changes(scope.cut(frame))
    own, every = primary_set(pairs), zero_shot(pairs)
    averaged = means(own)
    asked = _Asked(tuple(models(averaged)), margin)
    low, large = _alike(averaged[averaged["tier"] == "low"]), averaged[averaged["count"] > SMALL_TEST]
    found = [
        asked.check("primary set", averaged),
        asked.check("with retrieval and same-task pairs", means(every)),
        asked.check("cells common to every model", common(averaged)),
        _logit(own, asked),
        asked.check("tokens for GiB", averaged.assign(text=_tokens(averaged)), note="whitespace words of CC-100"),
        asked.check("low-resource languages alone", low, note="no line over GiB"),
        _trend(averaged, asked),
        asked.check(f"tests of more than {SMALL_TEST} items", large),
        asked.check("without collapsed or diverged runs", _still(own), note=_flagged(own)),
        _numerics(own, numerics, asked),
    ]
    found += [_recipe(frame, scope, name, asked) for name in sorted(set(frame["recipe"]) - {scope.recipe})]
    found += [_control(frame, scope, name, asked) for name in sorted(CONTROLS)]
    return found


def _alike(averaged: pd.DataFrame) -> pd.DataFrame:
    """As if as much text had been read of every language: no line can be fitted."""
    return averaged.assign(text=1.0)


def leave_out(averaged: pd.DataFrame, what: str, margin: float = MARGIN) -> list[Check]:
    """`what` is inter, target or language: of the latter, only the low-resource ones, the others weigh little."""
    rows = averaged[averaged["tier"] == "low"] if what == "language" else averaged
    asked, resource = _Asked(tuple(models(averaged)), margin), Resource.of(averaged)
    return [
        asked.check(f"without {what}={name}", averaged[averaged[what] != name], resource=resource)
        for name in sorted(rows[what].unique())
    ]


def common(averaged: pd.DataFrame) -> pd.DataFrame:
    """The means over seeds of which every model has the same (intermediate task, target, language)."""
    there = averaged[averaged["change"].notna()]
    each = there.groupby(["inter", "target", "language"])["model"].transform("nunique")
    return there[each == averaged["model"].nunique()]


def table(found: list[Check]) -> pd.DataFrame:
    """A row a check; each estimate is a number beside its bounds, as `harm`, `harm_low` and `harm_high`."""
    rows = []
    for one in found:
        row: dict[str, object] = {
            name: getattr(one, name) for name in ("pairs", "of", "common", "verdict", "unit", "note")
        }
        for name in ("harm", "shift", "gap"):
            estimate = getattr(one, name)
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), (estimate.value, *estimate.interval()), strict=True))
        rows.append({"check": one.name, **row})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Asked:
    """What every check is asked: of these models, by size, and with this margin."""

    models: tuple[str, ...]
    margin: float

    def check(
        self,
        name: str,
        averaged: pd.DataFrame,
        *,
        weights: Weights | None = None,
        resource: Resource | None = None,
        margin: float | None = None,
        unit: str = "points",
        note: str = "",
    ) -> Check:
        """Of means over seeds; the shift is from the smallest to the largest model unless `weights` say otherwise."""
        small, large = self.models[0], self.models[-1]
        weights = weights or {large: 1.0, small: -1.0}
        there = set(averaged.loc[averaged["change"].notna(), "model"])
        if without := [model for model in self.models if model in {*weights, small} and model not in there]:
            return _nothing(name, "; ".join(filter(None, [note, f"no pair at model={', '.join(without)}"])), unit)
        resource = resource or Resource.of(averaged)
        harm, last = (effects(averaged, {model: 1.0}, resource) for model in (small, large))
        shift = effects(averaged, weights, resource)
        n = Counts.over(averaged)
        verdict = judged(harm, last, shift, self.margin if margin is None else margin).verdict.value
        return Check(name, n.pairs, n.of, n.common, harm.low, shift.low, shift.gap, verdict, unit, note)


def _nothing(name: str, note: str, unit: str = "points") -> Check:
    """A check that there are no rows for."""
    return Check(name, 0, 0, 0, NOTHING, NOTHING, NOTHING, "no data", unit, note)


def _logit(pairs: pd.DataFrame, asked: _Asked) -> Check:
    """Log odds, with half an item added to both sides: where scores are near a floor or a ceiling, points shrink."""

    def odds(column: str) -> pd.Series:
        right = pairs[column] / 100 * pairs["count"]
        return ((right + 0.5) / (pairs["count"] - right + 0.5)).apply(np.log)

    part = pairs.loc[pairs["tier"] == "low", "before"].mean() / 100
    scaled = asked.margin / 100 / (part * (1 - part))
    averaged = means(pairs.assign(change=odds("value") - odds("before")))
    note = f"margin {scaled:.3f}, {asked.margin:g} points at {part:.0%}"
    return asked.check("logit scale", averaged, margin=scaled, unit="log odds", note=note)


def _trend(averaged: pd.DataFrame, asked: _Asked) -> Check:
    """A line over log size through all models in the place of the two ends, times the distance between these."""
    sizes = averaged.groupby("model")["parameters"].first().pipe(np.log)
    away = sizes - sizes.mean()
    slope = away / (away**2).sum() * (sizes.max() - sizes.min())
    weights = {str(name): float(weight) for name, weight in slope.items()}
    return asked.check("a line over log size through all models", averaged, weights=weights)


def _still(pairs: pd.DataFrame) -> pd.DataFrame:
    return means(pairs.assign(change=pairs["change"].mask(pairs["collapsed"] | pairs["diverged"])))


def _flagged(pairs: pd.DataFrame) -> str:
    return f"{int((pairs['collapsed'] | pairs['diverged']).sum())} pairs have one"


def _numerics(pairs: pd.DataFrame, numerics: pd.Series | None, asked: _Asked) -> Check:
    name = "pairs of equal numerics"
    if numerics is None:
        return _nothing(name, "a table alone does not say how it was computed")
    same = pairs["stage"].map(numerics) == pairs["stage_before"].map(numerics)
    kept = means(pairs.assign(change=pairs["change"].where(same)))
    return asked.check(name, kept, note=f"{int((~same & pairs['change'].notna()).sum())} pairs mix two")


def _recipe(frame: pd.DataFrame, scope: Scope, recipe: str, asked: _Asked) -> Check:
    other = Scope(scope.world, scope.regime, recipe)
    return asked.check(f"recipe={recipe}", means(primary_set(changes(other.cut(frame)))))


def _control(frame: pd.DataFrame, scope: Scope, control: str, asked: _Asked) -> Check:
    """Against as much training in English on no task, in the place of none at all."""
    pairs = primary_set(changes(scope.cut(frame), control))
    there = pairs[pairs["before"].notna()]
    note = "" if len(there) else f"no cell with inter={control}"
    return asked.check(f"against inter={control}", means(there), note=note)


@cache
def _counts() -> dict[str, float]:
    """Million tokens of CC-100 (Conneau et al. 2020, appendix A, table 6); zh and my are sums over scripts."""
    read = pd.read_csv(TOKENS, keep_default_na=False)
    return dict(zip(read["language"], read["tokens_m"].astype(float), strict=True))


def _tokens(averaged: pd.DataFrame) -> pd.Series:
    """0 where the model has not read the language. Of a synthetic language that CC-100 has not, its own measure."""
    counted = averaged["language"].map(_counts()).fillna(averaged["text"])
    return counted.where(averaged["resource_gib"] > 0, 0.0)
