"""`do=status`: how far a sweep is, stage by stage, from the store alone."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xstilts import owner
from xstilts.store import Store
from xstilts.sweep import sweeps
from xstilts.sweep.sweeps import Sweep

STATES = ("done", "running", "queued", "failed", "interrupted", "blocked", "waiting")


@dataclass(frozen=True)
class State:
    """Of one stage."""

    name: str  # of STATES
    text: str = ""  # progress, error, or what blocks it
    log: str = ""


def states(store: Store, sweep: Sweep) -> dict[str, State]:
    """Of every stage of a sweep. A stage is blocked when something it starts from has failed."""
    found: dict[str, State] = {}
    dead: dict[str, dict[str, Any]] = {}
    for name in _ordered(sweep):
        found[name] = _state(store, name, dead)
        if found[name].name != "waiting":
            continue
        for upstream in sweep.stages[name]["upstream"].values():
            above = found.get(upstream)
            if above and above.name in ("failed", "blocked"):
                cause = above.text if above.name == "blocked" else sweep.stages[upstream]["label"]
                found[name] = State("blocked", cause)
    for name, how in _ended(dead).items():
        if found[name].name in ("interrupted", "waiting"):
            found[name] = State("interrupted", how, found[name].log)
    return found


def _ordered(sweep: Sweep) -> list[str]:
    """Stage ids, upstream first: the order in which they were recorded."""
    return list(sweep.stages)


def _ended(dead: dict[str, dict[str, Any]]) -> dict[str, str]:
    """How the jobs of a cluster that hold a claim have ended."""
    if not any(holder["launcher"] == "slurm" for holder in dead.values()):
        return {}
    from xstilts.sweep.slurm import states

    return states.ended(dead)


def _queued(holder: dict[str, Any]) -> str | None:
    """Why the job of a living owner does not run yet; None when it runs."""
    if holder["launcher"] != "slurm":
        return None
    from xstilts.sweep.slurm import states

    return states.waiting(holder)


def _state(store: Store, name: str, dead: dict[str, dict[str, Any]]) -> State:
    """From the store, and its owner's launcher. Owners that died are added to `dead`."""
    folder = store.folder(name)
    if folder.marker.exists():
        return State("done")
    attempts = folder.attempts()
    log = str(attempts[-1] / "log.txt") if attempts else ""
    holder = folder.owner()
    if holder is not None and owner.alive(holder, folder.beat()):
        waits = _queued(holder)
        if waits is not None:
            return State("queued", waits, log)
        return State("running", _progress(folder.progress(), folder.record()), log)
    if holder is not None:
        dead[name] = holder
    record = folder.record()
    if record is None:
        return State("waiting")
    if record["status"] == "failed":
        return State("failed", str(record.get("error")), log)
    return State("interrupted", "the same command, or do=retry, goes on from its last state", log)


def _progress(progress: dict[str, Any] | None, record: dict[str, Any] | None) -> str:
    if not progress or not progress["total"]:
        return ""
    share = progress["done"] / progress["total"]
    text = f"{share:.0%}"
    if record and 0 < share < 1:
        spent = time.time() - record["started"]
        text += f", about {spent / share - spent:.0f} s left"
    return text


def overview(store: Store, console: Console) -> None:
    """All sweeps of the store, a line each."""
    table = Table("sweep", "user", "created", "cells", *STATES, box=None, pad_edge=False)
    for sweep in sweeps.all_(store):
        count = Counter(s.name for s in states(store, sweep).values())
        numbers = [str(count[s]) if count[s] else "-" for s in STATES]
        table.add_row(*map(Text, (sweep.name, sweep.user, sweep.created, str(len(sweep.cells)), *numbers)))
    if not table.rows:
        console.print(f"the store {store.root} has no sweep yet", markup=False, highlight=False)
        return
    console.print(table)
    console.print("do=status sweep=NAME shows one; the numbers are stages")


def show(store: Store, sweep: Sweep, console: Console) -> None:
    """One sweep: the grid of cells, then what runs and what failed."""
    found = states(store, sweep)
    console.print(_grid(sweep, found))
    for name in ("running", "queued", "failed", "interrupted"):
        rows = [(s, state) for s, state in found.items() if state.name == name]
        if not rows:
            continue
        table = Table(title=name, title_justify="left", box=None, pad_edge=False)
        for column in ("stage", "", "log"):
            table.add_column(column, overflow="fold")
        for stage, state in rows:
            table.add_row(*map(Text, (sweep.stages[stage]["label"], state.text, state.log)))
        console.print(table)
    count = Counter(s.name for s in found.values())
    console.print(
        ", ".join(f"{count[s]} {s}" for s in STATES if count[s]) + f" of {len(found)} stages", highlight=False
    )


def _grid(sweep: Sweep, found: dict[str, State]) -> Table:
    """Rows (model, inter), columns targets; a cell shows how many of its seeds and recipes are done."""
    targets = list(dict.fromkeys(c["target"] for c in sweep.cells))
    columns = map(escape, ("model", "inter", *targets))
    table = Table(*columns, box=None, pad_edge=False, title=escape(f"sweep {sweep.name}"), title_justify="left")
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in sweep.cells:
        inter = cell["inter"] if cell["regime"] == "english" else f"{cell['inter']} {cell['regime']}"
        worst = _worst([found[s].name for s in cell["stages"]])
        rows.setdefault((cell["model"], inter), {}).setdefault(cell["target"], []).append(worst)
    for key, cells in rows.items():
        table.add_row(*map(Text, key), *(_summary(cells.get(t, [])) for t in targets))
    return table


def _worst(names: list[str]) -> str:
    for name in ("failed", "blocked", "running", "interrupted", "queued", "waiting"):
        if name in names:
            return name
    return "done"


def _summary(states_: list[str]) -> str:
    if not states_:
        return ""
    worst = _worst(states_)
    if len(states_) == 1 or worst == "done":
        return worst
    return f"{states_.count('done')}/{len(states_)} {worst}"
