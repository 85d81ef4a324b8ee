"""How long planning takes, as a user waits for it: `python benchmarks/planning.py [REPETITIONS]`.

Whole commands, start of Python included, of 330 and of 9,900 cells in a store that is empty; the two are interleaved.
Goals: 3 s and 30 s.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
INTER = "inter=none,anli,mnli,qqp,squad,squad_v2,hellaswag,ccg,cosmosqa,csqa,multitask"
GRIDS = {
    330: ["model=base,large,xl", INTER, "target=xtreme_r"],
    9900: ["model=base,large,xl", INTER, "target=xtreme_r", "seed=range(30)"],
}


def seconds(grid: list[str], store: Path) -> float:
    """Wall time of `do=plan`."""
    began = time.perf_counter()
    command = [sys.executable, ROOT / "launch.py", "-m", *grid, "do=plan", f"store={store}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = {cells: [] for cells in GRIDS}
        for _ in range(repetitions):
            for cells, grid in GRIDS.items():
                times[cells].append(seconds(grid, Path(folder)))
    for cells, measured in times.items():
        print(f"{cells:>6} cells  median {median(measured):6.2f} s  [{min(measured):.2f}-{max(measured):.2f}]")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
