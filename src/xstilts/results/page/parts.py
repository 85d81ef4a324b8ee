"""What the page shows of one world, in the words and numbers of its template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from markupsafe import Markup

from xstilts.results import figures, views
from xstilts.results.aggregate import overall, whole
from xstilts.results.question import groups
from xstilts.results.question.printed import Said
from xstilts.results.summary import FLAGS, primary, summary
from xstilts.results.table import CELL, cut
from xstilts.scoring.suites import SUITES, TITLES, load

GROUPS = {
    "zero-shot": "All languages but English",
    "high": "High-resource languages",
    "low": "Low-resource languages",
    "unseen": "Languages that the model has not read",
    "english": "English",
}
MARKS = {"same_task": "*", "collapsed": "†", "diverged": "‡"}


@dataclass(frozen=True)
class Square:
    """A cell of a heat map."""

    text: str  # empty where the target has no such language
    count: str = ""  # 9, or 9/10 where one of ten is missing
    marks: str = ""
    said: str = ""  # in full, for who points at it
    sign: str = ""  # up, down
    share: int = 0  # of the full colour, in percent


class World:
    """Of a tidy table of one world."""

    def __init__(self, name: str, frame: pd.DataFrame, verdicts: Sequence[Said]) -> None:
        self.name, self.frame, self.verdicts = name, frame, verdicts
        self.summary = summary(frame)
        self.targets = figures.columns(self.summary)
        self.scale = figures.scale(self.summary)
        self.changed = bool((frame["inter"] != "none").any())
        self.flags = [flag for flag in ("synthetic", "partial") if frame[flag].any()]
        self.invented = groups.invented(frame["language"])
        self.unit = groups.unit(frame)

    # maps -----------------------------------------------------------------------------------------------------------

    @property
    def maps(self) -> list[tuple[str, list[tuple[str, list[tuple[str, list[Square]]]]]]]:
        """Title, models by size, and of each its rows: a name, and a square a target; of groups with languages."""
        found = []
        for group, title in GROUPS.items():
            rows = self.summary[self.summary["languages"] == group]
            if rows["of"].any():
                found.append((title, self._models(rows.assign(feed=views.feeds(rows)))))
        return found

    def _models(self, rows: pd.DataFrame) -> list[tuple[str, list[tuple[str, list[Square]]]]]:
        models = []
        for (_, model), own in rows.groupby(["parameters", "model"]):
            order = sorted(set(zip(own["inter"] != "none", own["feed"], strict=True)))
            lines: dict[Any, pd.DataFrame] = {feed: own[own["feed"] == feed].set_index("target") for _, feed in order}
            models.append((str(model), [(str(feed), self._line(lines[feed])) for _, feed in order]))
        return models

    def _line(self, by_target: pd.DataFrame) -> list[Square]:
        rows: Iterable[Any] = by_target.itertuples()
        at = {row.Index: row for row in rows}
        return [self._square(at[target]) if target in at else Square("") for target in self.targets]

    def _square(self, row: Any) -> Square:
        if not row.of:
            return Square("")
        base = row.inter == "none"
        value, n, sd = (row.score, row.n, row.sd) if base else (row.change, row.change_n, row.change_sd)
        count = f"{n}" if n == row.of else f"{n}/{row.of}"
        marks = "".join(mark for flag, mark in MARKS.items() if getattr(row, flag))
        said = f"{n} of {row.of} languages, {row.seeds} seeds, {row.metric} on {row.split}"
        if pd.isna(value):
            return Square("–", count, marks, said)
        said += "" if pd.isna(sd) else f", standard deviation over seeds {sd:.2f}"
        if base:
            return Square(f"{value:.1f}", count, marks, said)
        sign = "up" if value > 0 else "down"
        return Square(f"{value:+z.1f}", count, marks, said, sign, round(100 * min(abs(value) / self.scale, 1)))

    # figures --------------------------------------------------------------------------------------------------------

    @cached_property
    def by_tier(self) -> pd.DataFrame:
        return views.by_tier(self.frame)

    @cached_property
    def by_language(self) -> pd.DataFrame:
        return views.by_language(self.frame)

    @property
    def tiers(self) -> Markup:
        drawn = figures.tiers(self.by_tier, views.by_tier(self.frame, targets=True))
        title = "Change by model size, a line for high-resource, low-resource and unseen languages each"
        return Markup(figures.svg(drawn, f"{self.name}-tiers", title))

    @property
    def languages(self) -> Markup:
        title = "Change by language, from most to least pretraining text, a marker a model"
        return Markup(figures.svg(figures.languages(self.by_language), f"{self.name}-languages", title))

    @property
    def tier_rows(self) -> Iterable[Any]:
        return self.by_tier.assign(feed=views.feeds(self.by_tier)).itertuples(index=False)

    @cached_property
    def models(self) -> list[str]:
        known = self.by_language[["parameters", "model"]].drop_duplicates().sort_values(["parameters", "model"])
        return list(known["model"])

    @property
    def language_rows(self) -> list[tuple[str, str, float, dict[str, Any]]]:
        """Feed, language, GiB, and by model its row, from most to least text."""
        rows = self.by_language.assign(feed=views.feeds(self.by_language))
        found: dict[tuple[str, str], dict[str, Any]] = {}
        each: Iterable[Any] = rows.itertuples(index=False)
        for row in each:
            found.setdefault((row.feed, row.language), {})[row.model] = row
        most = {key: max(row.resource_gib for row in own.values()) for key, own in found.items()}
        return [(*key, most[key], found[key]) for key in sorted(found, key=lambda k: (k[0], -most[k], k[1]))]

    # overall scores, and what to know -------------------------------------------------------------------------------

    @property
    def suites(self) -> list[tuple[str, list[Any]]]:
        """Title and both overall scores, of each suite all of whose targets were asked for."""
        found = []
        for suite in map(load, SUITES):
            if whole(self.frame, suite):
                rows = overall(self.frame, suite)
                rows = rows[rows["level"] == "overall"].assign(feed=lambda r: views.feeds(r))
                order = ["parameters", "model", "name", "feed"]
                found.append((TITLES[suite.name], list(rows.sort_values(order).itertuples(index=False))))
        return found

    @property
    def flagged(self) -> list[tuple[str, int, list[str]]]:
        """Flag, cells that have it, and some of their names."""
        cells = self.frame.drop_duplicates(CELL)
        found = []
        for flag in FLAGS:
            own = cells[cells[flag]]
            each: Iterable[Any] = own.itertuples(index=False)
            names = [f"{one.model} {one.inter} {one.target} seed {one.seed}" for one in each]
            if names:
                found.append((flag, len(names), names))
        return found

    @property
    def cells(self) -> int:
        return len(self.frame.drop_duplicates(CELL))

    @property
    def cut(self) -> list[Any]:
        return list(cut(self.frame).itertuples(index=False))

    @property
    def empty(self) -> list[tuple[str, list[str]]]:
        """Targets whose evaluations are done without some languages, as the library has no data of them."""
        rows = primary(self.frame[self.frame["attempt"].notna()])
        rows = rows[rows["metric_version"].isna()]
        return [(str(target), sorted(own["language"].unique())) for target, own in rows.groupby("target")]
