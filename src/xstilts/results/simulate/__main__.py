"""`python -m xstilts.results.simulate STORE`: a simulated sweep of XTREME-R's size, to look at the analysis with."""

from __future__ import annotations

import argparse
from pathlib import Path

from xstilts.results.simulate import items
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.store import fill
from xstilts.results.simulate.truth import TRUTHS
from xstilts.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m xstilts.results.simulate", description=(__doc__ or "").strip())
    parser.add_argument("store", type=Path)
    parser.add_argument("--truth", choices=TRUTHS, default="mitigates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5, help="of the sweep, for every cell")
    parser.add_argument("--items", action="store_true", help=f"predictions too, of {', '.join(items.TARGETS)}")
    arguments = parser.parse_args()
    grid = Grid(seeds=arguments.seeds)
    frame = simulated(TRUTHS[arguments.truth], arguments.seed, grid)
    sweep = fill(Store(arguments.store), frame, grid, targets=items.TARGETS if arguments.items else ())
    print(f"{len(sweep.cells)} cells, {len(sweep.stages)} stages, truth {arguments.truth!r}, in {arguments.store}")


if __name__ == "__main__":
    main()
