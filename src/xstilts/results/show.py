"""The table a person looks at: targets x (model, inter), scores and what changed against `inter=none`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xstilts.results.lines import DOWN, QUIET, Signs, column, lines
from xstilts.results.overview import show_overall
from xstilts.results.question import groups
from xstilts.results.summary import SOURCE, primary, summary
from xstilts.results.table import CELL, cut, unfinished
from xstilts.results.tiers import LOW, TIERS

WIDTH = 120  # where there is no terminal


def show(frame: pd.DataFrame, console: Console | None = None, selected: pd.Series | None = None) -> None:
    """Print a table as `xstilts.results.table` gives it; a table a world, and overall scores if it has all targets.

    `selected`, of `xstilts.results.aggregate.selection`, chooses the best intermediate tasks.
    """
    console = _wide(console)
    if frame.empty:
        console.print("Nothing was asked for yet: the store has no sweep.")
        return
    signs = Signs.of(console)
    for world, rows in summary(frame).groupby("world"):
        table = _table(rows, signs)
        fits = console.measure(table, options=console.options.update(max_width=10**4)).minimum <= console.width
        console.print()
        console.print(_title(str(world), rows))
        console.print(table if fits else _table(rows, signs, spread=False), crop=False)
        for line in _notes(rows, frame[frame["world"] == world], signs, spread=fits):
            console.print(Padding(Text(line, style=QUIET), (0, 1), expand=False))
        show_overall(frame[frame["world"] == world], signs, console, selected)


def show_comparison(comparison: pd.DataFrame, console: Console | None = None) -> None:
    """Print what `xstilts.results.compare` found; differences beyond seed noise are marked."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("metric", "split", "language"):
        table.add_column(name)
    for name in ("old", "new", "difference", "sd over seeds", ""):
        table.add_column(name, justify="right", no_wrap=True)
    rows: Iterable[Any] = comparison.itertuples(index=False)
    for row in rows:
        spread = f"{row.sd:.2f} of {row.seeds}" if pd.notna(row.sd) else "-"
        mark = "beyond 2 sd" if pd.notna(row.beyond) and row.beyond else ""
        numbers = _number(row.old), _number(row.new), _number(row.difference, "+.2f"), spread
        table.add_row(row.metric, row.split, row.language, *numbers, Text(mark, style=DOWN))
    _wide(console).print(table)


def _wide(console: Console | None) -> Console:
    """What is no terminal is taken for 80 characters wide, which would cut columns for nothing."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    return console


def _number(value: float, form: str = ".2f") -> str:
    return format(value, form) if pd.notna(value) else "-"


def _title(world: str, rows: pd.DataFrame) -> Text:
    title = Text(f" world={world}", style="bold")
    for flag in ("synthetic", "partial"):
        if rows[flag].any():
            title.append(f"  {flag}" if rows[flag].all() else f"  {flag} in part", "bold " + DOWN)
    return title


def _table(rows: pd.DataFrame, signs: Signs, spread: bool = True) -> Table:
    """A section a target, in it a row a (model, inter), and a regime and a recipe where there are several."""
    extra = [key for key in ("regime", "recipe") if rows[key].nunique() > 1]
    shown = lines(rows)
    columns = [column(numbers, signs, spread) for numbers in zip(*(line.numbers() for line in shown), strict=True)]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("target", "model", "inter", *extra):
        table.add_column(name, overflow="fold", min_width=6)
    heads = (SOURCE, "zero-shot", signs.delta, *(f"{signs.delta} {tier}" for tier in TIERS))
    for name, numbers in zip(heads, columns, strict=True):
        table.add_column(name, justify="right", no_wrap=True, min_width=max(len(name), *map(len, numbers)))
    target = model = ""
    for line, *numbers in zip(shown, *columns, strict=True):
        some = line.any
        if some.target != target:
            table.add_section()
            model = ""
        names = ["" if some.target == target else some.target, "" if some.model == model else some.model]
        more = (Text(getattr(some, key)) for key in extra)
        table.add_row(Text(names[0], style="bold"), Text(names[1]), line.inter(signs), *more, *numbers)
        target, model = some.target, some.model
    return table


def _notes(rows: pd.DataFrame, frame: pd.DataFrame, signs: Signs, spread: bool) -> Iterator[str]:
    """What the numbers are, what the marks mean, and what is missing."""
    measured = rows.groupby([rows["metric"] + " on " + rows["split"]])["target"].unique()
    yield "In percent: " + "; ".join(f"{what} ({_list(targets)})" for what, targets in measured.items())
    unit = groups.unit(frame)
    yield "zero-shot: mean over the languages but English, and of how many"
    yield f"high, low, unseen: of these, by how much of them the model has read (over {LOW:g} {unit}, less, none)"
    yield f"{signs.delta}: against inter=none at the same model, recipe, seed and language; rows of none show scores"
    if spread and rows["seeds"].max() > 1:
        yield f"{signs.spread}: standard deviation over seeds"
    if rows["same_task"].any():
        yield "*: the intermediate task trains on the target's own training data"
    if rows["collapsed"].any():
        yield f"{signs.collapsed}: a training collapsed, to no better on English than always the commonest answer"
    if rows["diverged"].any():
        yield f"{signs.diverged}: a training diverged; scored are its weights from before that"
    yield from _cut(frame)
    if cells := unfinished(frame):
        yield f"Missing: {cells} of {len(frame[CELL].drop_duplicates())} cells are not done"
    done = primary(frame[frame["attempt"].notna()])
    lacking = done["metric_version"].isna()
    undefined = done["value"].isna() & ~lacking
    for reason, which in (("the library has no data", lacking), ("the metric is not defined there", undefined)):
        for target, languages in done[which].groupby("target")["language"].unique().items():
            yield f"Missing: {target} in {_list(languages)} ({reason})"


def _cut(frame: pd.DataFrame) -> Iterator[str]:
    """What was longer than the recipe allows, and so not read."""
    found = cut(frame)
    read: Iterable[Any] = found[found["cut_tokens"] > 0].itertuples(index=False)
    for target, own in groupby(sorted(read, key=lambda row: row.target), key=lambda row: row.target):
        most = max(own, key=lambda row: row.cut_tokens)
        total = most.cut_tokens + most.tokens
        yield f"Cut: {target} was evaluated without {most.cut_tokens:,} of {total:,} sub-words, beyond its length"
    if (trained := found["cut_in_training"].max()) > 0:
        yield f"Cut: trainings were without up to {trained:,} sub-words of their data (column cut_in_training)"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
