"""The overall scores that a person looks at, below the table of targets: one row a (model, inter)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xstilts.results.aggregate import BEST, KEYS, choices, overall, whole, with_best
from xstilts.results.lines import DOWN, FAMILIES, QUIET, UP, Signs
from xstilts.scoring.suites import SUITES, TITLES, Suite, load

MEANS = ("mean_of_tasks", "mean_of_groups")


def show_overall(frame: pd.DataFrame, signs: Signs, console: Console, selected: pd.Series | None = None) -> None:
    """Print the overall scores of one world, of every suite all of whose targets were asked for.

    `selected` are the scores on English selection data by evaluation stage, which choose the best intermediate tasks.
    """
    for suite in map(load, SUITES):
        if not whole(frame, suite):
            continue
        chosen = choices(frame, suite, selected) if selected is not None else None
        if chosen is None or chosen.empty or chosen["of"].max() < 2:  # nothing to choose among
            chosen = None
        found = overall(frame if chosen is None else with_best(frame, chosen), suite)
        console.print(Text(f" {TITLES[suite.name]} overall", style="bold"))
        console.print(_table(found, suite, signs), crop=False)
        for line in _notes(found, suite, chosen):
            console.print(Padding(Text(line, style=QUIET), (0, 1), expand=False))


def _table(found: pd.DataFrame, suite: Suite, signs: Signs) -> Table:
    extra = [key for key in ("regime", "recipe") if found[key].nunique() > 1]
    groups = sorted(suite.groups, key=FAMILIES.index)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("model", "inter", *extra):
        table.add_column(name, overflow="fold")
    for name in ("tasks", signs.delta, "groups", signs.delta, *groups):
        table.add_column(name, justify="right", no_wrap=True)
    model = ""
    for key, rows in _ordered(found):
        means = {(mean.level, mean.name): mean for mean in rows.itertuples(index=False)}
        at = dict(zip(KEYS, key, strict=True))
        numbers = [text for name in MEANS for text in (_score(means["overall", name]), _change(means["overall", name]))]
        numbers += [_score(means["group", group]) for group in groups]
        table.add_row("" if at["model"] == model else at["model"], at["inter"], *(at[k] for k in extra), *numbers)
        model = at["model"]
    return table


def _ordered(found: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """Models by size; of each the baseline first and the choice last."""

    def place(entry: tuple[Any, pd.DataFrame]) -> tuple[Any, ...]:
        at = dict(zip(KEYS, entry[0], strict=True))
        feeding = at["inter"] == BEST, at["inter"] != "none", at["inter"], at["regime"]
        return at["parameters"], at["model"], at["recipe"], *feeding

    return sorted(found.groupby(KEYS), key=place)


def _score(mean: Any) -> Text:
    """Or how many of the parts there are, where some are missing."""
    return Text(f"{mean.score:.1f}") if mean.scored == mean.of else Text(f"- {mean.scored}/{mean.of}", style=QUIET)


def _change(mean: Any) -> Text:
    if pd.isna(mean.change):
        return Text()
    return Text(f"{mean.change:+z.1f}", style=QUIET if abs(mean.change) < 0.05 else UP if mean.change > 0 else DOWN)


def _notes(found: pd.DataFrame, suite: Suite, chosen: pd.DataFrame | None) -> Iterator[str]:
    sizes = len(suite.languages), len(suite.groups)
    yield "tasks, groups: mean of all {} tasks, and of the means of their {} groups; English counts".format(*sizes)
    if (found["scored"] < found["of"]).any():
        yield "- n/m: only n of m are there, so there is no mean"
    if chosen is None:
        return
    yield f"{BEST}: of each target the intermediate task with the best score on English selection data"
    if nothing := sorted(set(chosen.loc[chosen["inter"].isna(), "target"])):
        yield f"{BEST} has none of {', '.join(nothing)}: no training, no development data or no score to choose by"
