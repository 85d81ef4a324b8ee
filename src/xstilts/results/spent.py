"""What a sweep cost, and what it did not because cells share stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep


def spent(store: Store, sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """One row a (kind, model) of all stages of these sweeps, trainings first and models by size:

    stages      unique ones
    uses        how often a cell needs one: the stages there would be if cells shared nothing
    done        unique ones that are done
    measured    of these, with a record of their time
    hours       of the published attempts, on one device each; NaN where none is measured
    saved       hours that sharing saved: a stage's hours times its uses after the first; likewise
    tokens      sub-words trained on or evaluated, of those that say so; NaN where none does
    """
    uses: Counter[str] = Counter()
    about: dict[str, dict[str, Any]] = {}
    cells = {tuple(cell["stages"]) for sweep in sweeps for cell in sweep.cells}
    for chain in cells:
        uses.update(chain)
    for sweep in sweeps:
        about.update(sweep.stages)
    rows = []
    for stage, facts in about.items():
        done, record = _record(store, stage)
        seconds = record.get("seconds") if record.get("status") == "done" else None
        hours = None if seconds is None else seconds / 3600
        extra = None if hours is None else hours * max(uses[stage] - 1, 0)
        read = record.get("notes", {}).get("tokens") if done else None
        rows.append((facts["kind"], facts["parameters"], facts["model"], uses[stage], done, hours, extra, read))
    columns = ["kind", "parameters", "model", "uses", "done", "hours", "saved", "tokens"]
    frame = pd.DataFrame(rows, columns=columns).astype({"hours": "float64", "saved": "float64", "tokens": "float64"})
    found = frame.groupby(["kind", "parameters", "model"]).agg(
        stages=("uses", "size"),
        uses=("uses", "sum"),
        done=("done", "sum"),
        measured=("hours", "count"),
        hours=("hours", _sum),
        saved=("saved", _sum),
        tokens=("tokens", _sum),
    )
    return found.reset_index().sort_values(["kind", "parameters", "model"], ascending=[False, True, True])


def _sum(values: pd.Series) -> float:
    """Of those that are known; NaN where none is."""
    return float(values.sum(min_count=1))


def _record(store: Store, stage: str) -> tuple[bool, dict[str, Any]]:
    folder = store.folder(stage)
    done = folder.marker.exists()
    return done, (folder.record() if done else None) or {}
