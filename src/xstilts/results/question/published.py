"""Published averages of XTREME, computed again from the scores beside them.

The rows are those that RemBERT (Chung et al. 2021, arXiv 2010.12821, tables 7 and 16) prints, some of them taken from
the leaderboard. A row whose averages do not follow from its own scores mixes versions of a task, and is nothing to
compare with.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TABLE = Path(__file__).parent / "published.csv"
QA = ("xquad", "mlqa", "tydiqa")
GROUPS = {"sentence_pair": ("xnli", "pawsx"), "structured": ("udpos", "panx"), "qa": QA}
ROUNDING = 0.05  # of a printed number, so an average of printed numbers is off by as much again


def published() -> pd.DataFrame:
    """Scores by model; question answering as exact match and F1, and the averages as printed."""
    return pd.read_csv(TABLE, index_col="model")


def recomputed(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row a (model, average): printed, recomputed, difference, and whether rounding alone explains it."""
    table = published() if table is None else table
    tasks = table[["xnli", "pawsx", "udpos", "panx"]].assign(
        **{name: (table[f"{name}_em"] + table[f"{name}_f1"]) / 2 for name in QA}
    )
    found = {"mean_of_tasks": tasks.mean(axis=1)} | {name: tasks[[*own]].mean(axis=1) for name, own in GROUPS.items()}
    rows = [
        (model, name, printed, mean)
        for name, means in found.items()
        for model, printed, mean in zip(table.index, table[name], means, strict=True)
    ]
    result = pd.DataFrame(rows, columns=["model", "average", "printed", "recomputed"])
    result["difference"] = result["printed"] - result["recomputed"]
    return result.assign(consistent=result["difference"].abs() <= 2 * ROUNDING + 1e-9)
