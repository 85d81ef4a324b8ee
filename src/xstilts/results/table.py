"""The tidy table of everything that was asked for and measured: one row a (cell, language, metric, split).

What was asked for comes from the sweeps of the store, what was measured from the published attempt of each evaluation.
So a cell that is not done yet, and a language the library lacks, have their rows too, with no value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xstilts import files
from xstilts.errors import DataError
from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep

#: What tells cells apart.
CELL = ["world", "model", "inter", "regime", "target", "recipe", "seed"]
#: Columns and their types where they are not strings; docs/results.md says more of each.
COLUMNS = {
    "model": None,
    "parameters": "int64",  # of the encoder
    "inter": None,
    "regime": None,
    "target": None,
    "recipe": None,
    "seed": "int64",
    "language": None,
    "resource_gib": "float64",  # pretraining text of the model in the language; 0 when unseen
    "seen": "bool",
    "metric": None,
    "metric_version": None,  # missing with the value
    "split": None,
    "value": "float64",  # in percent, NaN where there is none
    "count": "int64",  # items behind it
    "same_task": "bool",
    "collapsed": "bool",  # of any training in the chain
    "synthetic": "bool",
    "partial": "bool",
    "stage": None,  # the evaluation
    "attempt": "Int64",  # of it; missing while it is not done
    "group": None,
    "primary": "bool",  # whether the metric is the one that tables show
    "world": None,
    "diverged": "bool",  # of any training in the chain
    "tokens": "Int64",  # sub-words that the evaluation read, of all its languages; missing while it is not done
    "cut_tokens": "Int64",  # and that it did not read, being longer than the recipe allows
    "cut_in_training": "Int64",  # likewise of the chain's training data, once each
}
ORDER = [*CELL, "language", "metric", "split"]
SCORES = pa.schema(
    [
        *((name, pa.string()) for name in ("language", "split", "metric", "version")),
        ("value", pa.float64()),
        ("count", pa.int64()),
    ]
)
Row = tuple[str, str, str, str | None, float, int]  # as in SCORES


@dataclass(frozen=True)
class Asked:
    """A cell of a sweep and what its model has read, in GiB by language."""

    cell: dict[str, Any]
    seen: dict[str, float]

    @property
    def stage(self) -> str:
        """The evaluation."""
        return str(self.cell["stages"][-1])


def table(store: Store, sweeps: Sequence[Sweep] | None = None) -> pd.DataFrame:
    """Columns as in COLUMNS; of the given sweeps, or of all that the store has.

    A cell of several sweeps is there once, as the newest of them has it. `value` is in percent; where there is none it
    is NaN, `count` is 0 and `metric` is the target's primary one. Raises `DataError` naming scores that cannot be read.
    """
    if sweeps is None:
        from xstilts.sweep.sweeps import all_  # Hydra's world: not needed by who brings the sweeps

        sweeps = all_(store)
    asked = newest(sweeps)
    published = {stage: store.folder(stage).published for stage in dict.fromkeys(one.stage for one in asked)}
    scores = {stage: read_scores(done / "scores.parquet") for stage, done in published.items() if done}
    rows = pd.DataFrame(_rows(asked, scores), columns=["number", *SCORES.names])
    frame = rows.rename(columns={"version": "metric_version"}).merge(_facts(store, asked, published), on="number")
    read = zip(frame["number"], frame["language"], strict=True)
    frame["resource_gib"] = [asked[number].seen.get(language, 0.0) for number, language in read]
    frame["seen"] = frame["resource_gib"] > 0
    frame["primary"] = frame["metric"] == frame["asked_metric"]
    types = {name: type_ for name, type_ in COLUMNS.items() if type_}
    return frame.sort_values(ORDER, ignore_index=True)[[*COLUMNS]].astype(types)


def write(store: Store, frame: pd.DataFrame) -> None:
    """STORE/results.parquet and STORE/results.csv, each replaced in one step; in the latter missing is empty."""
    parquet = BytesIO()
    frame.to_parquet(parquet, index=False)
    files.write_bytes(store.root / "results.parquet", parquet.getvalue())
    files.write_bytes(store.root / "results.csv", frame.to_csv(index=False).encode())


def read_scores(path: Path) -> list[Row]:
    """The rows of an evaluation's `scores.parquet`."""
    try:
        found = pq.ParquetFile(path).read(use_threads=False).select(SCORES.names).cast(SCORES)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(path, f"not the scores of an evaluation ({str(error).splitlines()[0]})") from None
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def unfinished(frame: pd.DataFrame) -> int:
    """How many cells of a table have no evaluation yet."""
    return len(frame.loc[frame["attempt"].isna(), CELL].drop_duplicates())


def cut(frame: pd.DataFrame) -> pd.DataFrame:
    """Where not everything was read: world, target, model, recipe, and tokens, cut_tokens, cut_in_training.

    An evaluation reads the same items whatever was trained before; of several trainings it is the most that one cut.
    """
    keys, counts = ["world", "target", "model", "recipe"], ["tokens", "cut_tokens", "cut_in_training"]
    found = frame.groupby(keys)[counts].max().fillna(0).astype("int64").reset_index()
    return found[(found["cut_tokens"] > 0) | (found["cut_in_training"] > 0)].reset_index(drop=True)


def newest(sweeps: Iterable[Sweep]) -> list[Asked]:
    """Every cell once: the last word is the newest sweep's."""
    return list({key: Asked(cell, sweep.seen[cell["model"]]) for key, cell, sweep in _cells(sweeps)}.values())


def replaced(sweeps: Iterable[Sweep]) -> Iterator[str]:
    """A line a sweep of which `newest` has cells in the form of a newer one that are not the same evaluation."""
    cells: dict[tuple[Any, ...], tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for key, cell, sweep in _cells(sweeps):
        stage = str(cell["stages"][-1])
        older, before = cells.get(key, (sweep.name, stage))
        counts[older] += before != stage
        cells[key] = sweep.name, stage
    for name, count in counts.items():
        if count:
            yield (
                f"cells of sweep {name} that newer sweeps replace: {count}, of the same names and from other data, "
                f"weights or versions; do=report sweep={name} shows its own"
            )


def _cells(sweeps: Iterable[Sweep]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Sweep]]:
    """Of the oldest sweep first: what tells a cell apart, the cell, and its sweep."""
    for sweep in sorted(sweeps, key=lambda s: (s.created, s.name)):
        for cell in sweep.cells:
            yield tuple(cell[key] for key in CELL), cell, sweep


def _rows(asked: list[Asked], scores: dict[str, list[Row]]) -> list[tuple[Any, ...]]:
    """Number of the cell, then what was measured, and what was asked for and not measured."""
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(asked):
        primary = one.cell["metric"]
        measured = scores.get(one.stage, [])
        there = {(language, split) for language, split, metric, *_ in measured if metric == primary}
        rows += [(number, *row) for row in measured]
        rows += [
            (number, language, split, primary, None, nan, 0)
            for language in one.cell["languages"]
            for split in one.cell["splits"]
            if (language, split) not in there
        ]
    return rows


def _facts(store: Store, asked: list[Asked], published: dict[str, Path | None]) -> pd.DataFrame:
    """One row a cell, with what is the same in all of its rows."""
    trained = {stage for one in asked for stage in one.cell["stages"][:-1]}
    notes = {stage: _notes(store, stage) for stage in trained}
    columns = [*CELL, "parameters", "group", "same_task", "synthetic", "partial"]
    facts = pd.DataFrame([[one.cell[column] for column in columns] for one in asked], columns=columns)
    facts["number"] = range(len(asked))
    facts["asked_metric"] = [one.cell["metric"] for one in asked]
    facts["stage"] = [one.stage for one in asked]
    attempts = [published[one.stage] for one in asked]
    facts["attempt"] = _integers(int(done.name) if done else None for done in attempts)
    for flag in ("collapsed", "diverged"):
        facts[flag] = [any(notes[stage].get(flag) for stage in one.cell["stages"][:-1]) for one in asked]
    evaluations = {stage: _notes(store, stage) for stage, done in published.items() if done}
    for count in ("tokens", "cut_tokens"):
        facts[count] = _integers(evaluations.get(one.stage, {}).get(count) for one in asked)
    facts["cut_in_training"] = _integers(
        _sum(notes[s].get("cut_tokens") for s in one.cell["stages"][:-1]) for one in asked
    )
    return facts


def _sum(counts: Iterable[int | None]) -> int | None:
    """None when one of them is not known."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _integers(values: Iterable[int | None]) -> Any:
    """Of which some may be missing."""
    return pd.array(list(values), dtype="Int64")


def _notes(store: Store, stage: str) -> dict[str, Any]:
    """What a training that is done wrote into its record."""
    folder = store.folder(stage)
    record = folder.record() if folder.marker.exists() else None
    return dict(record["notes"]) if record else {}
