"""Filling the library, by a process of its own: formats check what they are given, and they import torch."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

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
    request = {
        "world": asdict(inputs.world),
        "tasks": [task.to_dict() for task in inputs.used.values()],
        "models": [asdict(model) for model in inputs.models.values()],
        "library": str(inputs.root.absolute()),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "xstilts.work.prepare", file.name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), console=console, transient=True
        ) as bars:
            bar = bars.add_task(f"filling the library from world={inputs.world.name}", total=None)
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                bars.update(bar, completed=event["done"], total=event["total"], description=event["text"])
        _, errors = process.communicate()
    if process.returncode == 2:
        raise UserError(errors.strip().removeprefix("error: "))
    if process.returncode:
        raise RuntimeError(f"filling the library failed with {process.returncode}:\n{errors}")
