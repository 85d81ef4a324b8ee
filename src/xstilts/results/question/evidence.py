"""What claims about published results are tested on: the changes of one model, averaged as papers average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan, sqrt

import numpy as np
import pandas as pd

from xstilts.results.question.changes import NONE, changes
from xstilts.results.question.crossed import NOTHING, Estimate
from xstilts.results.question.scope import Scope
from xstilts.scoring.suites import Suite, load


@dataclass(frozen=True)
class Evidence:
    """The part of a table that claims are tested on: one world and recipe, the model of the paper where it is there."""

    frame: pd.DataFrame  # the table of this world and recipe
    model: str
    suite: Suite
    selected: pd.Series | None  # scores on English selection data, by evaluation (`aggregate.selection`)

    @classmethod
    def of(
        cls, frame: pd.DataFrame, scope: Scope, selected: pd.Series | None = None, model: str | None = None
    ) -> Evidence:
        """Of XTREME where all of its targets were asked for, else of the targets there are of it."""
        rows = frame[(frame["world"] == scope.world) & (frame["recipe"] == scope.recipe)]
        names = sorted(rows["model"].unique())
        chosen = model or ("large" if "large" in names else names[0] if names else "")
        return cls(rows, chosen, load("xtreme"), selected)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Changes of the model by English intermediate training, English and all targets of the suite included."""
        rows = self.frame[(self.frame["model"] == self.model) & self.frame["target"].isin(self.suite.languages)]
        return changes(rows[(rows["regime"] == "english") | (rows["inter"] == NONE)])

    @cached_property
    def by_seed(self) -> pd.DataFrame:
        """Mean change over the targets that are there, each the mean over its languages: [seed, inter]."""
        return by_target(self.pairs).groupby(["seed", "inter"])["change"].mean().unstack("inter")


def over_seeds(values: Sequence[float] | pd.Series) -> Estimate:
    """A mean over seeds, the rest fixed; NaN bounds below two seeds."""
    there = np.asarray(values, float)
    there = there[~np.isnan(there)]
    if not len(there):
        return NOTHING
    se = float(there.std(ddof=1)) / sqrt(len(there)) if len(there) > 1 else nan
    return Estimate(float(there.mean()), se, len(there) - 1)


def by_target(pairs: pd.DataFrame) -> pd.DataFrame:
    """Mean over languages: a row a (seed, inter, target); only where every language has its pair."""
    found = pairs.groupby(["seed", "inter", "target"])["change"].agg(lambda values: values.mean(skipna=False))
    return found.reset_index()
