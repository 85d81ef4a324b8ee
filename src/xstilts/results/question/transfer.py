"""The paper's table: baseline scores, then what each intermediate task changes at each target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from xstilts.results.question.changes import NONE
from xstilts.results.question.scope import Scope
from xstilts.results.summary import summary
from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep

LANGUAGES = ("english", "zero-shot", "high", "low", "unseen")


def baseline(frame: pd.DataFrame, scope: Scope, languages: str = "zero-shot") -> pd.DataFrame:
    """Scores without intermediate training: [model, target], means over languages; NaN where there is none."""
    rows = _rows(frame, scope, languages)
    return _by_size(rows[rows["inter"] == NONE].pivot(index=INDEX, columns="target", values="score"))


def change(frame: pd.DataFrame, scope: Scope, languages: str = "zero-shot") -> pd.DataFrame:
    """What each intermediate task changes: [(model, inter), target] in points; NaN where no pair is."""
    rows = _rows(frame, scope, languages)
    rows = rows[rows["inter"] != NONE]
    wide = rows.pivot(index=[*INDEX, "inter"], columns="target", values="change")
    return _by_size(wide).assign(mean=lambda table: table.mean(axis=1))


def same_task(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """The (inter, target) of which the intermediate task trains on the target's own training data."""
    rows = frame[frame["same_task"]]
    return set(zip(rows["inter"], rows["target"], strict=True))


@dataclass(frozen=True)
class Sharing:
    """Of all given sweeps: stages that their cells name, and how many there are when each is done once."""

    cells: int
    named: int
    unique: int
    seconds_named: float  # of the ones that are done, were each cell to do all of its own
    seconds: float

    @property
    def saved(self) -> float:
        """Percent of the stages that sharing saves."""
        return 100 * (1 - self.unique / self.named) if self.named else float("nan")

    def __str__(self) -> str:
        spent = f"{self.seconds / 3600:.1f} h of training and evaluation instead of {self.seconds_named / 3600:.1f} h"
        counted = (
            f"{self.cells} cells name {self.named} stages, of which {self.unique} differ ({self.saved:.0f} % saved)"
        )
        return f"{counted}; measured so far: {spent}"


def sharing(store: Store, sweeps: Sequence[Sweep]) -> Sharing:
    """From the records of the stages that are done."""
    chains = [cell["stages"] for sweep in sweeps for cell in sweep.cells]
    seconds = {stage: _seconds(store, stage) for stage in dict.fromkeys(stage for chain in chains for stage in chain)}
    named = [stage for chain in chains for stage in chain]
    return Sharing(len(chains), len(named), len(seconds), sum(seconds[s] for s in named), sum(seconds.values()))


def _seconds(store: Store, stage: str) -> float:
    """Of training or evaluation; 0 where nobody has measured any."""
    folder = store.folder(stage)
    notes = (folder.record() or {}).get("notes", {}) if folder.marker.exists() else {}
    return float(notes.get("train_seconds") or notes.get("evaluate_seconds") or 0.0)


INDEX = ["parameters", "model"]


def _rows(frame: pd.DataFrame, scope: Scope, languages: str) -> pd.DataFrame:
    rows = summary(scope.cut(frame))
    return rows[rows["languages"] == languages]


def _by_size(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.sort_index().droplevel("parameters")
