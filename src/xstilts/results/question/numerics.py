"""How results were computed: device, threads, micro-batches and torch of every stage behind an evaluation.

None of it is part of what a result is, and all of it can change a last digit. A pair of which the halves were computed
differently mixes that into its change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep


#: How many embeddings a training trains is recorded with its machine, as a resume must not change it; it is its data's.
OF_DATA = "embeddings"


def numerics(store: Store, sweeps: Iterable[Sweep]) -> pd.Series:
    """By evaluation stage: one text for all machines that its chain of stages ran on; missing where none is known."""
    known: dict[str, str] = {}
    found: dict[str, str | None] = {}
    for sweep in sweeps:
        for cell in sweep.cells:
            for stage in cell["stages"]:
                if stage not in known:
                    known[stage] = _machine(store, stage)
            chain = sorted({known[stage] for stage in cell["stages"]} - {""})
            found[cell["stages"][-1]] = " | ".join(chain) or None
    return pd.Series(found, dtype=object)


def _machine(store: Store, stage: str) -> str:
    folder = store.folder(stage)
    record: dict[str, Any] | None = folder.record() if folder.marker.exists() else None
    facts = (record or {}).get("notes", {}).get("machine", {})
    return ", ".join(f"{name}={value}" for name, value in sorted(facts.items()) if name != OF_DATA)
