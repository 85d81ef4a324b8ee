"""What sharing saves: a grid in one command, beside the same cells as one job each, as most scripts have them.

    python benchmarks/grid.py [--rounds 3] [--recipe epochs|steps]

The grid is of the toy world: one model, three intermediate choices, four targets, a job at a time. Each job is xstilts,
with a store of its own, so that nothing differs but what is shared; the library of texts and sub-words is everybody's.
CPU seconds are of all processes, imports included, and of the stages alone, as their records have them. Predicted is
the ratio of the plan's floating-point operations, every use of a stage counted or each stage once; `do=plan` prints it
of any grid.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from contest import machine, spread
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
INTERS, TARGETS = ("none", "mnli", "squad"), ("xnli", "xquad", "panx", "tatoeba")
WORLD = ["model=base", "world=toy", "recipe=toy", "world.sizes.train=800", "hydra.launcher.workers=1"]
RECIPES = {"epochs": ["recipe.common.epochs=3"], "steps": ["recipe.common.steps=60", "recipe.common.checkpoint=last"]}


@dataclass(frozen=True)
class Spent:
    processes: float  # CPU seconds of all of them
    stages: float  # seconds of stages, by their records
    trained: int
    evaluated: int


def launch(library: Path, store: Path, *typed: str) -> None:
    command = [sys.executable, str(ROOT / "launch.py"), *WORLD, *typed, f"library={library}", f"store={store}"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def measured(library: Path, place: Path, jobs: Iterable[list[str]]) -> Spent:
    """Run jobs one after the other, each in a store of its own."""
    before = _children()
    for number, job in enumerate(jobs):
        launch(library, place / str(number), *job)
    records = [json.loads(path.read_bytes()) for path in place.glob("*/stages/*/attempts/1/record.json")]
    kinds = [path.parents[2].name.split("-")[0] for path in place.glob("*/stages/*/attempts/1/record.json")]
    stages = sum(record["seconds"] for record in records)
    return Spent(_children() - before, stages, kinds.count("train"), kinds.count("evaluate"))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def predicted(library: Path, *typed: str) -> float:
    """Floating-point operations of every cell alone over those of every stage once."""
    from xstilts.sweep.check import check
    from xstilts.sweep.command import Command
    from xstilts.sweep.compose import loader
    from xstilts.sweep.cost import shared

    arguments = check([*WORLD, *typed, f"library={library}", f"store={library.parent / 'none'}"])
    return shared(Command(arguments, {}, loader(), "config").planned())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipe", choices=RECIPES, default=None, help="one of them alone")
    given = parser.parse_args()
    table = Table("recipe", "a grid, CPU s", "a job a cell, CPU s", "ratio", "of stages alone", "predicted", "stages")
    for name in [given.recipe] if given.recipe else RECIPES:
        table.add_row(name, *row(RECIPES[name], given.rounds))
    Console(width=120).print(machine(), table)


def row(recipe: list[str], rounds: int) -> list[str]:
    """Both ways `rounds` times, in random order."""
    grid = [[*recipe, f"inter={','.join(INTERS)}", f"target={','.join(TARGETS)}"]]
    cells = [[*recipe, f"inter={i}", f"target={t}", "baseline=false"] for i, t in product(INTERS, TARGETS)]
    found: dict[str, list[Spent]] = {"grid": [], "cells": []}
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        library = Path(temporary) / "library"
        launch(library, Path(temporary) / "filled", *grid[0])  # texts and sub-words are there, for both
        for number in range(rounds):
            for way in dice.sample(["grid", "cells"], 2):
                place = Path(temporary) / f"{way}{number}"
                found[way].append(measured(library, place, grid if way == "grid" else cells))
            print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
        floor = predicted(library, *grid[0])
    pairs = list(zip(found["grid"], found["cells"], strict=True))
    return [
        spread([one.processes for one in found["grid"]]),
        spread([one.processes for one in found["cells"]]),
        spread([apart.processes / one.processes for one, apart in pairs]),
        spread([apart.stages / one.stages for one, apart in pairs]),
        f"{floor:.2f}",
        "; ".join(f"{way}: {runs[0].trained} + {runs[0].evaluated}" for way, runs in found.items()),
    ]


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s")
