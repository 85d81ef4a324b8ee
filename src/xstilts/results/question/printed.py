"""The verdict as `do=report` prints it, below the tables; or what the results lack for it, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from xstilts.results.lines import QUIET, Signs
from xstilts.results.question.answer import answer, lacking
from xstilts.results.question.changes import NONE
from xstilts.results.question.scope import Scope
from xstilts.results.question.verdict import Verdict
from xstilts.results.question.words import told


@dataclass(frozen=True)
class Said:
    """Of a world and recipe: lines, and how each is printed; a single line where the question cannot be asked."""

    scope: Scope
    lines: list[tuple[str, str]]


def verdicts(frame: pd.DataFrame) -> list[Said]:
    """Of every world and recipe of a table; English intermediate training only, which the question is about."""
    found = []
    for world, rows in frame.groupby("world"):
        for recipe in sorted(rows.loc[rows["inter"] != NONE, "recipe"].unique()) or [None]:
            scope = Scope.of(rows, str(world), recipe=recipe)
            found.append(Said(scope, _lines(rows, scope)))
    return found


def show_verdicts(found: Sequence[Said], console: Console) -> None:
    spread = Signs.of(console).spread
    for said in found:
        console.print()
        console.print(Text(f" The question  world={said.scope.world} recipe={said.scope.recipe}", style="bold"))
        for line, style in said.lines:
            console.print(Padding(Text(line.replace("±", spread), style=style), (0, 1), expand=False))


def _lines(rows: pd.DataFrame, scope: Scope) -> list[tuple[str, str]]:
    if missing := lacking(rows, scope):
        return [(f"It cannot be asked of these results: {'; '.join(missing)}.", QUIET)]
    found = answer(rows, scope)
    (asked, verdict, *rest), fewest = told(found, rows)
    if found.primary.judgement.verdict is Verdict.CANNOT_TELL:
        rest.append(fewest)
    return [(asked, QUIET), (verdict, "bold"), *((line, QUIET) for line in rest)]
