"""Filling the library, by a process of its own: formats check what they are given, and they import torch."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from xstilts.data import stale
from xstilts.errors import UserError
from xstilts.sweep.inputs import Inputs
from xstilts.sweep.plan import Plan


def fill_local(plan: Plan, console: Console) -> bool:
    """Fill what worlds on this machine lack or have outdated; True when something was filled."""
    filled = False
    for inputs in plan.worlds.values():
        if inputs.world.kind != "hub" and (inputs.provisional or stale.outdated(inputs)):
            _fill(inputs, console)
            filled = True
    return filled


def fill(plan: Plan, console: Console) -> None:
    """`do=fetch`: everything the plan reads, from wherever its worlds say."""
    for inputs in plan.worlds.values():
        _fill(inputs, console)
        console.print(f"the library {inputs.root} holds {len(inputs.used)} tasks and {len(inputs.models)} models")


def _fill(inputs: Inputs, console: Console) -> None:
    """One library, by a process that reads its request from standard input and leaves when that ends."""
    request = {
        "world": asdict(inputs.world),
        "tasks": [task.to_dict() for task in inputs.used.values()],
        "models": [asdict(model) for model in inputs.models.values()],
        "library": str(inputs.root.absolute()),
    }
    with tempfile.TemporaryFile("w+") as errors:  # not a pipe: nobody reads it meanwhile
        process = subprocess.Popen(
            [sys.executable, "-m", "xstilts.work.prepare", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            start_new_session=True,  # Ctrl-C is ours to handle
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            _watch(process.stdout, inputs, console)
            process.wait()
        finally:
            process.kill()  # nothing happens when it has ended; what it wrote so far is whole
            process.wait()
        errors.seek(0)
        said = errors.read().strip()
    if process.returncode == 2:
        raise UserError(f"\n{said}".rpartition("\nerror: ")[2])
    if process.returncode:
        raise RuntimeError(f"filling the library failed with {process.returncode}:\n{said}")


def _watch(lines: Iterable[str], inputs: Inputs, console: Console) -> None:
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=None)
        for line in lines:
            event = json.loads(line)
            text = f"filling the library from world={inputs.world.name}: {event['text']}"
            bars.update(bar, completed=event["done"], total=event["total"], description=escape(text))
