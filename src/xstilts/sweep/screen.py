"""What a person sees while a plan runs: one bar for all, a line a running stage, and what failed at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from xstilts.stage import Stage
from xstilts.store import Folder
from xstilts.sweep.plan import Plan


class Screen:
    """A live bar on a terminal, a line a finished stage elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, soft_wrap=True)
        self.live = Progress(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.all: TaskID | None = None
        self.lines: dict[str, TaskID] = {}
        self.began = time.monotonic()

    def __enter__(self) -> Screen:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def tick(self, done: int, total: int, running: Iterable[str]) -> None:
        """Bring the bars level with what is running."""
        if self.all is None:
            self.all = self.live.add_task("[bold]stages", total=total)
        self.live.update(self.all, completed=done)
        for stage in set(self.lines) - set(running):
            self.live.remove_task(self.lines.pop(stage))

    def progress(self, stage: Stage, event: dict[str, Any]) -> None:
        if stage.id not in self.lines:
            self.lines[stage.id] = self.live.add_task("", total=event["total"])
        text = f"  {stage.label} [dim]{event['text']}"
        self.live.update(self.lines[stage.id], description=text, completed=event["done"], total=event["total"])

    def finished(self, stage: Stage, folder: Folder) -> None:
        if not self.console.is_terminal:
            seconds = (folder.record() or {}).get("seconds", 0.0)
            self.console.print(f"done    {stage.label} ({seconds:.1f} s)", highlight=False)

    def failed(self, stage: Stage, error: str) -> None:
        self.console.print(f"[bold red]failed[/]  {stage.label}: {error}", highlight=False)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def failures(self, plan: Plan, failed: dict[str, str], blocked: dict[str, str]) -> None:
        """The table of what failed and why, with what waits for it and where to read more."""
        if not failed:
            return
        table = Table(title=f"{len(failed)} failed, {len(blocked)} blocked by them", title_justify="left")
        for name in ("stage", "error", "blocks", "log"):
            table.add_column(name, overflow="fold")
        for stage, error in failed.items():
            attempts = plan.store.folder(stage).attempts()
            log = str(attempts[-1] / "log.txt") if attempts else "-"
            count = sum(cause == stage for cause in blocked.values())
            table.add_row(plan.stages[stage].label, error, str(count or "-"), log)
        self.console.print(table)
