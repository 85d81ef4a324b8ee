"""How long planning takes: `python benchmarks/planning.py [--runs 5]`.

Each run is the command a user types, as a process of its own: from the shell to the last line of `do=plan`, imports
included. The grids are the models x intermediate tasks x targets of XTREME-R, then the same with many seeds, over an
empty store and over one that holds half of the stages. Goals: 330 cells in 3 s, 10,000 in 30 s.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

INTER = "none,anli,mnli,qqp,squad,squad_v2,hellaswag,ccg,cosmosqa,csqa,multitask"
GRID = ["-m", "model=base,large,xl", f"inter={INTER}", "target=xtreme_r"]
#: seeds -> goal in seconds
SEEDS = {1: 3.0, 31: 30.0}


def seconds(store: Path, seeds: int) -> tuple[int, float]:
    """Cells planned, and the wall time of the command."""
    command = [sys.executable, str(ROOT / "launch.py"), *GRID, f"seed=range({seeds})", f"store={store}", "do=plan"]
    began = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(ended.stdout.split()[0]), time.perf_counter() - began


def half_done(store: Path, seeds: int) -> None:
    """Mark every second stage of the grid as done."""
    from xstilts.store import Store, begin, publish
    from xstilts.sweep.check import check, loader
    from xstilts.sweep.command import Command

    arguments = [a for a in check([*GRID, f"seed=range({seeds})", f"store={store}"]) if not a.startswith("-")]
    plan = Command(arguments, {}, loader(), "config").planned()
    for stage in list(plan.stages.values())[::2]:
        folder = Store(store).enter(stage)
        attempt = begin(folder)
        (attempt / "checkpoint").mkdir()
        publish(folder, attempt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each command (default 3)")
    runs = parser.parse_args().runs
    table = Table("cells", "store", "median s", "fastest", "slowest", "goal s", title_justify="left")
    table.title = f"do=plan as a process, {runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    with tempfile.TemporaryDirectory() as place:
        stores = {(seeds, name): Path(place) / f"{name}-{seeds}" for seeds in SEEDS for name in ("empty", "half-done")}
        for (seeds, name), store in stores.items():
            if name == "half-done":
                half_done(store, seeds)
        # Interleaved, so that a busy minute of the machine does not fall on one grid alone.
        measured = [{key: seconds(store, key[0]) for key, store in stores.items()} for _ in range(runs)]
    for seeds, name in stores:
        cells = measured[0][seeds, name][0]
        times = [run[seeds, name][1] for run in measured]
        numbers = [f"{n:.2f}" for n in (np.median(times), min(times), max(times), SEEDS[seeds])]
        table.add_row(f"{cells:,}", name, *numbers)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
