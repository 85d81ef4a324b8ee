"""One cell, stage after stage, in this process: for launchers that know cells and nothing of a plan."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from xstilts.sweep.check import loader


def run(overrides: Sequence[str]) -> None:
    """Do what is missing of the cell these overrides compose. Raises `RuntimeError` when a stage fails."""
    from xstilts.sweep.command import Command
    from xstilts.work.run import do

    command = Command(overrides, {}, loader(), "config", baseline=False)
    plan = command.planned()
    command.refuse_provisional(plan)
    for stage in plan.needed().values():
        folder = plan.store.enter(stage)
        request = {"stage": str(folder.root), "read": [str(p) for p in plan.store.read]}
        while (status := do(request, lambda _: None, threading.Event())) == "busy":
            time.sleep(1.0)  # another cell of the sweep is doing it
        if status not in ("done", "reused"):
            record = folder.record() or {}
            raise RuntimeError(
                f"{stage.label}: {status}: {record.get('error')} (see {folder.attempts()[-1] / 'log.txt'})"
            )
