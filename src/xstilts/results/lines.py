"""What stands in one row of the table that is shown: numbers with their signs, spreads and counts.

Colour only repeats what the sign says: blue for up and orange for down, which every kind of colour vision tells apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from xstilts.results.tiers import TIERS

UP, DOWN, QUIET = "#3b82c4", "#c96a12", "dim"  # readable on white and on black
FAMILIES = ["classification", "tagging", "qa", "retrieval"]  # the order of XTREME's tables


@dataclass(frozen=True)
class Signs:
    """What the output's encoding can show."""

    delta: str
    collapsed: str
    diverged: str
    spread: str

    @classmethod
    def of(cls, console: Console) -> Signs:
        return cls("change", "!", "?", "+-") if console.options.ascii_only else cls("Δ", "†", "‡", "±")


@dataclass(frozen=True)
class Number:
    """A mean, its spread over seeds where it is shown, and of how many languages it is."""

    text: str = ""  # empty where there is nothing to say
    style: str = ""
    sd: float = nan
    count: str = ""  # as 9, or 9/10 when one of ten has no score

    @classmethod
    def score(cls, mean: Any, spread: bool = True) -> Number:
        return cls._of(mean, mean.score, mean.n, mean.sd if spread else nan, ".1f", "")

    @classmethod
    def change(cls, mean: Any, spread: bool = False) -> Number:
        style = QUIET if abs(mean.change) < 0.05 else UP if mean.change > 0 else DOWN
        return cls._of(mean, mean.change, mean.change_n, mean.change_sd if spread else nan, "+z.1f", style)

    @classmethod
    def _of(cls, mean: Any, value: float, count: int, sd: float, form: str, style: str) -> Number:
        if not mean.of:  # the target has no such language
            return cls()
        said = "" if mean.languages == "english" else f"{count}" if count == mean.of else f"{count}/{mean.of}"
        return cls(format(value, form), style, sd, said) if count else cls("-", QUIET, nan, said)


def column(numbers: Sequence[Number], signs: Signs, spread: bool) -> list[Text]:
    """Spreads and counts padded, so that the numbers stand below each other."""
    spreads = ["" if isnan(number.sd) or not spread else f" {signs.spread}{number.sd:.1f}" for number in numbers]
    wide, counted = max(map(len, spreads)), max(len(number.count) for number in numbers)
    cells = []
    for number, beside in zip(numbers, spreads, strict=True):
        text = Text().append(number.text, style=number.style)
        text.append(f"{beside:<{wide}}" + f" {number.count:<{counted}}" * bool(counted), style=QUIET)
        cells.append(text)
    return cells


@dataclass(frozen=True)
class Line:
    """The means of one (target, model, inter, regime, recipe), by group of languages: rows of a summary."""

    means: dict[str, Any]

    @property
    def any(self) -> Any:
        """For what is the same in all groups."""
        return self.means["zero-shot"]

    def inter(self, signs: Signs) -> Text:
        flags = {"*": self.any.same_task, signs.collapsed: self.any.collapsed, signs.diverged: self.any.diverged}
        return Text(self.any.inter).append("".join(f" {mark}" for mark, set_ in flags.items() if set_), style=DOWN)

    def numbers(self) -> list[Number]:
        """English, the others, and the changes; in rows of the baseline, scores stand where changes would."""
        scores = [Number.score(self.means["english"]), Number.score(self.any)]
        if self.any.inter == "none":
            return [*scores, Number(), *(Number.score(self.means[name], spread=False) for name in TIERS)]
        return [*scores, Number.change(self.any, spread=True), *(Number.change(self.means[name]) for name in TIERS)]

    @property
    def place(self) -> tuple[Any, ...]:
        """In the table: families, targets, models by size, the baseline first."""
        some = self.any
        family = FAMILIES.index(some.group) if some.group in FAMILIES else len(FAMILIES)
        choices = some.recipe, some.inter != "none", some.inter, some.regime
        return family, some.group, some.target, some.parameters, some.model, *choices


def lines(summary: pd.DataFrame) -> list[Line]:
    """Of a summary, in the order they are shown."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    means: Iterable[Any] = summary.itertuples(index=False)
    for mean in means:
        key = (mean.target, mean.model, mean.inter, mean.regime, mean.recipe)
        found.setdefault(key, {})[mean.languages] = mean
    return sorted(map(Line, found.values()), key=lambda line: line.place)
