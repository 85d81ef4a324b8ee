"""One cell, stage after stage, in this process: for launchers that know cells and nothing of a plan."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from xstilts.sweep.compose import loader
from xstilts.sweep.workstation import AGAIN


def run(overrides: Sequence[str]) -> None:
    """Do what is missing of the cell these overrides compose. Raises `RuntimeError` when a stage fails."""
    from xstilts.sweep.command import Command
    from xstilts.work.run import do

    command = Command(overrides, {}, loader(), "config", baseline=False)
    plan = command.planned()
    command.refuse_provisional(plan)
    read = [str(path) for path in plan.store.read]
    for stage in plan.needed().values():
        folder = plan.store.enter(stage)
        request = {"stage": str(folder.root), "read": read, "place": stage.place, "numerics": stage.numerics}
        end: dict[str, Any] = {}
        while (status := do(request, end.update, threading.Event())) in ("busy", "fenced"):
            time.sleep(AGAIN)  # another cell of the sweep is doing it
        if status not in ("done", "reused"):
            log = f" (see {end['attempt']}/log.txt)" if end["attempt"] else ""
            raise RuntimeError(f"{stage.label}: {end['error'] or status}{log}")
