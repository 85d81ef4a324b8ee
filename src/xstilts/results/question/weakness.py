"""Weakness of a language: how often an item is answered wrongly in it that is answered rightly in English.

P(wrong in L | right in English on the aligned item), after "Cross-Lingual Pitfalls" (Xu et al. 2025, arXiv 2505.18673),
who probe single models for such items. Here it is measured on benchmarks whose items are translations of each other,
before and after intermediate training, and at every scale: a harm that English hides in a mean would show in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xstilts.results.question.changes import CONTROLS, NONE
from xstilts.results.question.items import Items, Part, parts
from xstilts.results.question.scope import Scope
from xstilts.results.summary import SOURCE
from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep

ALIGNED = ("xnli", "xquad", "mlqa", "pawsx")  # an item has one id in all of its languages
COLUMNS = [
    "world",
    "model",
    "parameters",
    "inter",
    "regime",
    "recipe",
    "target",
    "seed",
    "language",
    "weakness",
    "right",
]
CELL = COLUMNS[:-3]  # what a row is about, languages aside


def weakness(store: Store, sweeps: Sequence[Sweep], scope: Scope, targets: Sequence[str] = ALIGNED) -> pd.DataFrame:
    """A row a cell of the scope and language but English, with COLUMNS.

    `weakness` is in percent of the `right` aligned items, NaN where none is right in English; no row where a cell has
    no English predictions.
    """
    rows = []
    for cell in _cells(parts(store, sweeps, scope, targets)):
        by_language = {part.language: part.read() for part in cell}
        if SOURCE not in by_language:
            continue
        known, english = cell[0].cell, by_language.pop(SOURCE)
        for language, items in by_language.items():
            wrong, right = _aligned(english, items)
            value = 100 * float(wrong.mean()) if len(wrong) else float("nan")
            rows.append((*(known[name] for name in CELL), language, value, right))
    return pd.DataFrame(rows, columns=COLUMNS)


def change(found: pd.DataFrame) -> pd.DataFrame:
    """By intermediate training: weakness minus that of inter=none, paired by cell, mean over seeds with its count.

    Controls are no intermediate training, and left out.
    """
    key = ["world", "model", "parameters", "recipe", "target", "seed", "language"]
    none = found.loc[found["inter"] == NONE, [*key, "weakness"]].rename(columns={"weakness": "before"})
    both = found[~found["inter"].isin([NONE, *CONTROLS])].merge(none, on=key, how="left", validate="many_to_one")
    both["change"] = both["weakness"] - both["before"]
    unit = ["world", "model", "parameters", "inter", "regime", "recipe", "target", "language"]
    averaged = both.groupby(unit)[["before", "weakness", "change"]].mean()
    return averaged.assign(seeds=both.groupby(unit)["change"].count()).reset_index()


def together(
    store: Store, sweeps: Sequence[Sweep], scope: Scope, target: str, model: str, inter: str = NONE
) -> pd.DataFrame:
    """Which languages fail on the same items: the correlation of being wrong, of items that are right in English.

    Mean over the seeds with English predictions; [languages, languages], NaN for a language that is never wrong.
    """
    matrices = []
    for cell in _cells(parts(store, sweeps, scope, [target])):
        if (cell[0].cell["model"], cell[0].cell["inter"]) != (model, inter):
            continue
        right = pd.DataFrame({part.language: _series(part.read()) for part in cell})
        if SOURCE in right:
            wrong = 1.0 - right[right[SOURCE] == 1.0].drop(columns=SOURCE)
            matrices.append(wrong.corr())
    return pd.concat(matrices).groupby(level=0).mean() if matrices else pd.DataFrame()


def _cells(found: Iterable[Part]) -> list[list[Part]]:
    """The parts of each cell together, in the order of the store."""
    cells: dict[int, list[Part]] = {}
    for part in found:
        cells.setdefault(id(part.cell), []).append(part)
    return list(cells.values())


def _series(items: Items) -> pd.Series:
    return pd.Series(items.right.astype(float), index=items.ids)


def _aligned(english: Items, items: Items) -> tuple[np.ndarray, int]:
    """Of the items that are right in English: whether each is wrong in the other language, and how many they are."""
    right = english.ids[english.right]
    _, _, at = np.intersect1d(right, items.ids, return_indices=True)
    return ~items.right[at], len(at)
