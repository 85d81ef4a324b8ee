"""The question, answered from a table of results: premise, change with scale, verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from xstilts.errors import UserError
from xstilts.results.question.changes import NONE, changes, means, primary_set, zero_shot
from xstilts.results.question.contrast import Effects, Resource, effects
from xstilts.results.question.crossed import Estimate
from xstilts.results.question.multiplicity import holm
from xstilts.results.question.scope import Scope, models
from xstilts.results.question.verdict import MARGIN, Judgement, judged

QUESTION = (
    "Does a larger pretrained model mitigate the harm that English-only intermediate training does to "
    "low-resource languages?"
)


@dataclass(frozen=True)
class Counts:
    """Of the pairs (with and without intermediate task) that the analysis could have."""

    pairs: int
    of: int
    cells: int  # of the model, intermediate task, target and language with at least one seed
    cells_of: int
    common: int  # of these (intermediate task, target, language), the ones that every model has

    @classmethod
    def over(cls, frame: pd.DataFrame) -> Counts:
        """Of means over seeds."""
        there = frame[frame["change"].notna()]
        each = there.groupby(["inter", "target", "language"])["model"].nunique()
        common = int((each == frame["model"].nunique()).sum())
        return cls(int(frame["seeds"].sum()), int(frame["of"].sum()), len(there), len(frame), common)


@dataclass(frozen=True)
class Analysis:
    """Of one set of targets and pairs."""

    models: tuple[str, ...]  # by size, the smallest first
    each: dict[str, Effects]  # what intermediate training does, a model
    shift: Effects  # by how much that is better at the largest model than at the smallest
    steps: dict[tuple[str, str], Effects]  # and between any two models, the smaller first
    judgement: Judgement
    counts: Counts

    @property
    def harm(self) -> Estimate:
        """The premise: what intermediate training does to low-resource languages at the smallest model."""
        return self.each[self.models[0]].low

    def adjusted(self) -> dict[tuple[str, str], float]:
        """Holm's p of the shift at low-resource languages, between any two models."""
        return dict(zip(self.steps, holm([step.low.p for step in self.steps.values()]), strict=True))


@dataclass(frozen=True)
class Answer:
    """Two analyses: of transfer between different tasks, which decides, and of all targets and pairs."""

    scope: Scope
    margin: float
    primary: Analysis
    everything: Analysis

    @property
    def verdict(self) -> str:
        return self.primary.judgement.verdict.value


def answer(frame: pd.DataFrame, scope: Scope | None = None, margin: float = MARGIN, baseline: str = NONE) -> Answer:
    """Of a table as `xstilts.results.table` gives it.

    Raises `UserError` saying what the table lacks; `lacking` says it without.
    """
    scope = scope or Scope.of(frame)
    if missing := lacking(frame, scope, baseline):
        raise UserError("the question cannot be asked of these results: " + "; ".join(missing))
    averaged = means(changes(scope.cut(frame), baseline))
    return Answer(scope, margin, analysis(primary_set(averaged), margin), analysis(zero_shot(averaged), margin))


def analysis(averaged: pd.DataFrame, margin: float = MARGIN) -> Analysis:
    """Of means over seeds (`changes.means`) of at least two models."""
    names = tuple(models(averaged))
    resource = Resource.of(averaged[averaged["change"].notna()])
    each = {name: effects(averaged, {name: 1.0}, resource) for name in names}
    steps = {(a, b): effects(averaged, {b: 1.0, a: -1.0}, resource) for a, b in combinations(names, 2)}
    shift = steps[names[0], names[-1]]
    verdict = judged(each[names[0]], each[names[-1]], shift, margin)
    return Analysis(names, each, shift, steps, verdict, Counts.over(averaged))


def lacking(frame: pd.DataFrame, scope: Scope | None = None, baseline: str = NONE) -> list[str]:
    """What a table would need for the question to be asked of it; empty where nothing is lacking."""
    scope = scope or Scope.of(frame)
    rows = scope.cut(frame)
    asked = [
        (rows["model"].nunique() >= 2, "two models"),
        ((rows["inter"] == baseline).any(), f"cells with inter={baseline}"),
        ((~rows["inter"].isin([NONE, baseline])).any(), "cells with an intermediate task"),
    ]
    if missing := [f"it needs {what}" for fine, what in asked if not fine]:
        return missing
    averaged = primary_set(means(changes(rows, baseline)))
    if averaged.empty:
        return ["it needs a target that is no retrieval and not trained on the intermediate task's own data"]
    there = averaged[averaged["change"].notna()]
    return _unpaired(averaged, there)


def _unpaired(averaged: pd.DataFrame, there: pd.DataFrame) -> list[str]:
    if not (averaged["tier"] == "low").any():
        return ["it needs low-resource languages"]
    low = there[there["tier"] == "low"].groupby("model")["language"].nunique()
    return [
        f"no low-resource language is scored with and without an intermediate task at model={name}"
        for name in _ends(models(averaged))
        if not low.get(name, 0)
    ]


def _ends(names: Sequence[str]) -> list[str]:
    return [names[0], names[-1]]
