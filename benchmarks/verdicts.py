"""How often the verdict is right: simulated sweeps of XTREME-R's size with a known truth, analysed as real ones are.

    python benchmarks/verdicts.py [--sweeps 500] [--seed 0] [--only TRUTH ...] [--out benchmarks/verdicts.jsonl]

Every sweep has its own random numbers, a truth's name among what seeds them. Per truth it prints the verdicts, and for
four estimates the share of 95 % intervals that hold the true value. A row of --out can be taken again alone. Ctrl-C
ends a truth early and keeps what was counted: the same row as with as many --sweeps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from xstilts.results.question.changes import changes, means, primary_set
from xstilts.results.question.contrast import effects
from xstilts.results.question.crossed import Estimate
from xstilts.results.question.verdict import judged
from xstilts.results.simulate.grid import Grid
from xstilts.results.simulate.scores import simulated
from xstilts.results.simulate.truth import TRUTHS, Truth

#: The verdicts that would be wrong; `cannot tell` is never wrong, and never right where there is something to see.
RIGHT = {
    "no harm": "no harm to mitigate",
    "harm at every scale": "does not",
    "mitigates": "mitigates",
    "mitigates everywhere": "mitigates",
    "worsens": "worsens",
    "harm by the largest alone": "worsens",
    "harm of a point": "does not",  # as much as the margin: `no harm to mitigate` would be wrong, and is to be rare
}


def once(truth: Truth, seed: int, grid: Grid) -> tuple[str, dict[str, Estimate]]:
    """The verdict of one sweep, and its estimates."""
    rows = primary_set(means(changes(simulated(truth, seed, grid))))
    small, large = grid.models[0], grid.models[-1]
    harm, after = effects(rows, {small: 1.0}), effects(rows, {large: 1.0})
    shift = effects(rows, {large: 1.0, small: -1.0})
    found = {"harm": harm.low, "harm, gap": harm.gap, "shift": shift.low, "shift, gap": shift.gap}
    return judged(harm, after, shift).verdict.value, found


def true(truth: Truth) -> dict[str, float]:
    shift = truth.low[-1] - truth.low[0]
    return {
        "harm": truth.low[0],
        "harm, gap": truth.low[0] - truth.high[0],
        "shift": shift,
        "shift, gap": shift - (truth.high[-1] - truth.high[0]),
    }


def each(name: str, sweeps: int, seed: int) -> Iterator[tuple[str, dict[str, Estimate]]]:
    """`once` of the sweeps of one truth, until somebody interrupts."""
    grid = Grid()
    try:
        for k in range(sweeps):
            yield once(TRUTHS[name], crc32(f"{name} {seed} {k}".encode()), grid)
    except KeyboardInterrupt:
        return


def measure(name: str, sweeps: int, seed: int) -> dict:
    """All sweeps of one truth."""
    values = true(TRUTHS[name])
    verdicts: Counter[str] = Counter()
    held: Counter[str] = Counter()
    widths: Counter[str] = Counter()
    began = time.process_time()
    for verdict, found in each(name, sweeps, seed):
        verdicts[verdict] += 1
        for what, estimate in found.items():
            low, high = estimate.interval()
            held[what] += low <= values[what] <= high
            widths[what] += (high - low) / 2
    wrong = sum(n for verdict, n in verdicts.items() if verdict not in (RIGHT[name], "cannot tell"))
    sweeps = max(verdicts.total(), 1)
    return {
        "truth": name,
        "sweeps": sweeps,
        "verdicts": dict(verdicts),
        "right": verdicts[RIGHT[name]] / sweeps,
        "wrong": wrong / sweeps,
        "coverage": {what: held[what] / sweeps for what in values},
        "half width": {what: round(widths[what] / sweeps, 3) for what in values},
        "seconds a sweep": round((time.process_time() - began) / sweeps, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=TRUTHS, default=list(TRUTHS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    for name in arguments.only:
        line = json.dumps(measure(name, arguments.sweeps, arguments.seed))
        print(line, flush=True)
        if arguments.out:
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
