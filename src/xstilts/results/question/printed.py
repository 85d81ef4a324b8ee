"""The verdict as `do=report` prints it, below the tables; or what the results lack for it, in a line."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from xstilts.results.lines import QUIET
from xstilts.results.question.answer import answer, lacking
from xstilts.results.question.changes import NONE, changes, means, primary_set
from xstilts.results.question.scope import Scope
from xstilts.results.question.tell import more, sparse
from xstilts.results.question.verdict import Verdict
from xstilts.results.question.words import sentences, thin


def show_verdict(frame: pd.DataFrame, console: Console) -> None:
    """Of every world and recipe of a table; English intermediate training only, which the question is about."""
    for scope, lines in verdicts(frame):
        console.print()
        console.print(Text(f" The question  world={scope.world} recipe={scope.recipe}", style="bold"))
        for line, style in lines:
            console.print(Padding(Text(line, style=style), (0, 1), expand=False))


def verdicts(frame: pd.DataFrame) -> Iterator[tuple[Scope, list[tuple[str, str]]]]:
    """Of every world and recipe, lines and how each is printed; a single line where the question cannot be asked."""
    for world, rows in frame.groupby("world"):
        for recipe in sorted(rows.loc[rows["inter"] != NONE, "recipe"].unique()) or [None]:
            scope = Scope.of(rows, str(world), recipe=recipe)
            yield scope, _lines(rows, scope)


def _lines(rows: pd.DataFrame, scope: Scope) -> list[tuple[str, str]]:
    if missing := lacking(rows, scope):
        return [(f"It cannot be asked of these results: {'; '.join(missing)}.", QUIET)]
    found = answer(rows, scope)
    one = found.primary
    pairs = primary_set(changes(scope.cut(rows)))
    asked, verdict, *rest = sentences(found, more(pairs, {one.models[-1]: 1.0, one.models[0]: -1.0}, one.shift))
    if one.judgement.verdict is Verdict.CANNOT_TELL:
        rest.append(thin(sparse(means(pairs))))
    return [(asked, QUIET), (verdict, "bold"), *((line, QUIET) for line in rest)]
