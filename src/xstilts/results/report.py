"""What `do=report` gives, and every run at its end: tables, verdict, what is missing, and the files of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from xstilts.results import page
from xstilts.results.aggregate import selection
from xstilts.results.question import fill
from xstilts.results.question.printed import show_verdicts, verdicts
from xstilts.results.show import show
from xstilts.results.table import replaced, table, write

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep


def report(store: Store, sweeps: Sequence[Sweep], console: Console, again: bool = True) -> None:
    """Of these sweeps; the files have the results of all. Without `again`, a page that is still true is not redrawn."""
    everything = table(store)
    write(store, everything)
    frame = table(store, sweeps)
    show(frame, console, selection(store, sweeps))
    found = verdicts(frame)
    show_verdicts(found, console)
    known = None if again else page.drawn(store, sweeps, frame)
    for line in (
        *replaced(sweeps),
        *fill.said(fill.gaps(store, sweeps)),
        f"{len(everything)} rows in {store.root / 'results.parquet'} and .csv",
        f"the report: {known or page.write(store, sweeps, frame, found)}",
    ):
        console.print(line, markup=False, soft_wrap=True)
