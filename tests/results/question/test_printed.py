"""The verdict below the tables of do=report, what it says when it cannot be given, and what would fill a store."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

import pandas as pd
from laboratory import Lab, plain
from rich.console import Console

from xstilts.results.question import fill
from xstilts.results.question.printed import show_verdicts, verdicts
from xstilts.results.table import table


def printed(frame: pd.DataFrame) -> str:
    console = Console(file=StringIO(), width=200)
    show_verdicts(verdicts(frame), console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def asked(lab: Lab) -> None:
    """Two models with and without an intermediate task, one of the cells never evaluated."""
    for model in ("base", "large"):
        for inter in ("none", "squad"):
            for target in ("xnli", "tatoeba"):
                for seed in (0, 1):
                    done = (model, inter, target, seed) != ("large", "squad", "xnli", 1)
                    lab.cell(target, inter, model, seed=seed, value=plain if done else None)


def test_a_table_that_has_what_it_needs_gets_a_verdict(lab: Lab) -> None:
    asked(lab)
    lab.sweep()
    text = printed(table(lab.store))
    assert "The question  world=files recipe=phang2020" in text
    assert "Premise: at base" in text
    assert "base and large only" in text
    assert "12 of 16 pairs" in text  # two models, two seeds and four languages, less those of a cell


def test_a_terminal_without_unicode_gets_it_all(lab: Lab) -> None:
    asked(lab)
    lab.sweep()
    console = Console(file=TextIOWrapper(BytesIO(), encoding="ascii"), width=200)
    show_verdicts(verdicts(table(lab.store)), console)
    assert "±" in printed(table(lab.store))


def test_what_is_missing_is_one_line(lab: Lab) -> None:
    lab.cell("xnli", "none")
    lab.cell("xnli", "squad")
    lab.sweep()
    text = printed(table(lab.store)).strip().splitlines()
    assert len(text) == 2
    assert text[1].strip() == "It cannot be asked of these results: it needs two models."


def test_the_command_that_fills_a_store_names_its_sweep(lab: Lab) -> None:
    asked(lab)
    whole = lab.sweep("second", created="2026-01-02T00:00:00+00:00")
    lab.cell("xnli", "none", seed=7)
    full = lab.sweep("full")
    (gap,) = fill.gaps(lab.store, [full, whole])
    assert (gap.sweep, gap.missing, gap.of) == ("second", 1, 16)
    assert gap.command == f"python launch.py do=retry sweep=second store.path={lab.store.root}"
    assert fill.said([gap]) == [f"1 of 16 cells of sweep second are not done; to fill: {gap.command}"]
