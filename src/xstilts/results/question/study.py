"""Everything a notebook reads from a store, and the tables it shows, in a call each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from xstilts.errors import UserError
from xstilts.results.aggregate import choices, overall, selection, with_best
from xstilts.results.question import fill
from xstilts.results.question.answer import Answer, answer, lacking
from xstilts.results.question.changes import changes, means, primary_set
from xstilts.results.question.claims import claims
from xstilts.results.question.evidence import Evidence
from xstilts.results.question.numerics import numerics
from xstilts.results.question.robustness import Check, checks, leave_out
from xstilts.results.question.scope import Scope
from xstilts.results.question.words import told
from xstilts.results.table import table, unfinished
from xstilts.scoring.suites import load
from xstilts.store import Store
from xstilts.sweep import sweeps


@dataclass(frozen=True)
class Study:
    """Of a store: one world, regime and recipe of it, by default those of `Scope.of`."""

    store: Store
    recipe: str | None = None
    world: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str], recipe: str | None = None, world: str | None = None) -> Study:
        """Raises `UserError` where there is no sweep at that path."""
        store = Store(Path(path))
        if not sweeps.names(store):
            raise UserError(f"no sweep in {path}: point STORE at a store that `python launch.py` has written")
        return cls(store, recipe, world)

    @cached_property
    def sweeps(self) -> list[sweeps.Sweep]:
        return sweeps.all_(self.store)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The tidy table of all sweeps."""
        return table(self.store, self.sweeps)

    @cached_property
    def scope(self) -> Scope:
        return Scope.of(self.frame, self.world, recipe=self.recipe)

    @cached_property
    def averaged(self) -> pd.DataFrame:
        """Changes of the primary set, means over seeds."""
        return means(primary_set(changes(self.scope.cut(self.frame))))

    @cached_property
    def lacking(self) -> list[str]:
        """What the question would need; empty where it can be asked."""
        return lacking(self.frame, self.scope)

    @cached_property
    def answer(self) -> Answer:
        return answer(self.frame, self.scope)

    def said(self) -> list[str]:
        """The verdict in plain words, or what is missing for it; and what would fill the store."""
        if self.lacking:
            lines = [f"The question cannot be asked of these results: {'; '.join(self.lacking)}."]
        else:
            said, fewest = told(self.answer, self.frame)
            lines = [*said, fewest]
        return [*lines, *self.gaps()]

    def gaps(self) -> list[str]:
        """What is not done, with the command that does it."""
        lines = fill.said(fill.gaps(self.store, self.sweeps))
        return lines or [f"All {len(self.frame['stage'].unique())} evaluations are done."]

    def unfinished(self) -> int:
        """Cells without an evaluation."""
        return unfinished(self.frame)

    def checks(self) -> list[Check]:
        """Of robustness; empty where the question cannot be asked."""
        return [] if self.lacking else checks(self.frame, self.scope, numerics=numerics(self.store, self.sweeps))

    def leave_out(self, what: str) -> list[Check]:
        return [] if self.lacking else leave_out(self.averaged, what)

    def claims(self, model: str | None = None) -> pd.DataFrame:
        """The nine, a row each."""
        evidence = Evidence.of(self.frame, self.scope, selection(self.store, self.sweeps), model)
        return pd.DataFrame(claims(evidence)).set_index("number")

    def overall(self, suite: str = "xtreme_r") -> pd.DataFrame:
        """Overall scores and changes, the best intermediate task of each target among them; NaN where not whole."""
        known, rows = load(suite), self.scope.cut(self.frame)
        chosen = choices(rows, known, selection(self.store, self.sweeps))
        return overall(rows if chosen.empty else with_best(rows, chosen), known)
