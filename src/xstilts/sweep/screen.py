"""What a person sees while a plan runs: a bar for all and one a running stage; elsewhere a line a finished stage."""

from __future__ import annotations

import sys
from collections.abc import Container
from contextlib import suppress
from typing import TextIO, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from xstilts.stage import Stage
from xstilts.sweep.worker import Event

WIDTH = 120  # columns where there is no terminal


def console(stderr: bool = False) -> Console:
    """Of standard output or error; where it is no terminal, wide enough for tables, and without colours."""
    file = cast(TextIO, Lasting(sys.stderr if stderr else sys.stdout))
    found = Console(file=file, highlight=False)
    return found if found.is_terminal else Console(file=file, highlight=False, width=max(found.width, WIDTH))


class Lasting:
    """A standard stream that falls silent when the terminal or pipe behind it goes: stages must still be saved."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.encoding, self.isatty, self.fileno = file.encoding, file.isatty, file.fileno

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


class Screen:
    """A live bar on a terminal, a line a finished stage elsewhere."""

    def __init__(self, total: int) -> None:
        self.console = console(stderr=True)
        self.live = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}", justify="right"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            expand=True,
            disable=not self.console.is_terminal,
        )
        self.all = self.live.add_task("[bold]stages", total=total, amount=f"0/{total}")
        self.total = total
        self.lines: dict[str, TaskID] = {}

    def __enter__(self) -> Screen:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def tick(self, done: int, running: Container[str]) -> None:
        """Bring the bars level with what is running."""
        self.live.update(self.all, completed=done, amount=f"{done}/{self.total}")
        for stage in [s for s in self.lines if s not in running]:
            self.live.remove_task(self.lines.pop(stage))

    def started(self, stage: Stage) -> None:
        self.lines[stage.id] = self.live.add_task(f"  {escape(stage.label)}", total=None, amount="")

    def progress(self, stage: Stage, event: Event) -> None:
        done, total = event["done"], event["total"]
        self.live.update(self.lines[stage.id], completed=done, total=total, amount=f"{done / max(total, 1):.0%}")

    def finished(self, stage: Stage, event: Event) -> None:
        if not self.console.is_terminal:
            took = f"{event['seconds']:.1f} s" if event["status"] == "done" else "by another process"
            self.say(f"done    {stage.label} ({took})")

    def failed(self, stage: Stage, error: str) -> None:
        self.console.print("[bold red]failed[/]  " + escape(f"{stage.label}: {error}"), soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)
