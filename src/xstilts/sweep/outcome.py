"""How the execution of a plan ended, whoever executed it: for the exit status, and for the table at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Failure:
    """Of a stage, or of a cell where a foreign launcher knows no stages."""

    label: str
    error: str  # one line
    blocks: int | None = None  # stages that cannot run because of it, where that is known
    log: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What an executor returns."""

    failures: list[Failure] = field(default_factory=list)
    queued: bool = False  # nothing has run yet: a cluster will
    stopped: bool = False  # somebody wanted it to: Ctrl-C, do=cancel, a kill

    @property
    def code(self) -> int:
        """The exit status."""
        return 130 if self.stopped else 1 if self.failures else 0

    def show(self, console: Console) -> None:
        """The table of what failed and why, with what waits for it and where to read more; nothing if nothing did."""
        if not self.failures:
            return
        blocked = sum(f.blocks or 0 for f in self.failures)
        title = f"{len(self.failures)} failed" + (f", {blocked} blocked by them" if blocked else "")
        table = Table(title=title, title_justify="left", title_style="bold red", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("failed", overflow="fold", ratio=2)
        table.add_column("blocks", justify="right")
        table.add_column("why", overflow="fold", ratio=5)
        for failure in self.failures:
            table.add_row(Text(failure.label), str(failure.blocks or "-"), Text(failure.error))
        console.print()
        console.print(table)
        for failure in self.failures:
            if failure.log:  # outside of the table, so that it can be copied
                console.print(Text.assemble("log of ", failure.label, ": ", (failure.log, "bold")), soft_wrap=True)
