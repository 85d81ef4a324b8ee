"""One evaluation against another of the same cell, language by language: what `do=rerun` reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from xstilts.results.table import CELL, SCORES, read_scores

KEYS = ["language", "split", "metric", "version"]


def compare(old: Path, new: Path, seed_spread: pd.DataFrame | None = None) -> pd.DataFrame:
    """Of two `scores.parquet`: language, split, metric, version, old, new, difference, sd, seeds, beyond.

    `seed_spread` is what `spread` gives. `beyond` says whether the difference is larger than twice the standard
    deviation over seeds; it is missing where that is not known. A score that only one of the files has is NaN in the
    other. Raises `DataError` naming a file that cannot be read.
    """
    first, second = (pd.DataFrame(read_scores(path), columns=SCORES.names) for path in (old, new))
    both = first[[*KEYS, "value"]].merge(second[[*KEYS, "value"]], on=KEYS, how="outer", validate="one_to_one")
    both = both.rename(columns={"value_x": "old", "value_y": "new"})
    both["difference"] = both["new"] - both["old"]
    if seed_spread is None:
        seed_spread = pd.DataFrame(columns=[*KEYS, "sd", "seeds"])
    both = both.merge(seed_spread, on=KEYS, how="left", validate="one_to_one")
    both["sd"] = both["sd"].astype("float64")
    both["seeds"] = both["seeds"].fillna(0).astype("int64")
    unknown = both["sd"].isna() | both["difference"].isna()
    both["beyond"] = (both["difference"].abs() > 2 * both["sd"]).astype("boolean").mask(unknown)
    return both.sort_values(["metric", "split", "language", "version"], ignore_index=True)


def spread(frame: pd.DataFrame, cell: Mapping[str, Any]) -> pd.DataFrame:
    """How the scores of a cell vary over seeds: language, split, metric, version, sd (NaN of a single seed), seeds.

    `frame` is the tidy table; of `cell`, a cell of a sweep, everything that names it counts but its seed.
    """
    same = pd.Series(True, index=frame.index)
    for key in CELL:
        if key != "seed":
            same &= frame[key] == cell[key]
    scores = frame[same & frame["value"].notna()].rename(columns={"metric_version": "version"})
    return scores.groupby(KEYS)["value"].agg(["std", "count"]).set_axis(["sd", "seeds"], axis=1).reset_index()
