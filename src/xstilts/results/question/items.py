"""Item by item, how right the predictions of an evaluation are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstilts.errors import DataError
from xstilts.results.question.scope import Scope
from xstilts.results.table import newest
from xstilts.scoring import qa, ranking, tags
from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep

K = 20  # of MAP@20 and MRR@20
RANKED = {"map20": ranking.average_precision, "mrr20": ranking.reciprocal_rank}
METRICS = ("accuracy", "em_f1", "f1", *RANKED)


@dataclass(frozen=True)
class Items:
    """A part: its score in percent is 100 x sum(won) / sum(of), and so is that of any choice of its items."""

    ids: NDArray[np.str_]
    won: NDArray[np.float64]
    of: NDArray[np.float64]

    @property
    def score(self) -> float:
        return 100 * float(self.won.sum() / self.of.sum()) if self.of.sum() else float("nan")

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where at least half of an item was won: the right answer, or one that overlaps it by half."""
        return self.won >= 0.5 * np.maximum(self.of, 1e-9)


@dataclass(frozen=True)
class Part:
    """The predictions of one cell in one language."""

    cell: dict[str, Any]
    language: str
    resource_gib: float  # what the model has read of it
    path: Path

    def read(self) -> Items:
        return read(self.path, self.cell["metric"], self.language, self.cell.get("task", ""))


def parts(
    store: Store, sweeps: Sequence[Sweep], scope: Scope, targets: Sequence[str], split: str = "test"
) -> Iterator[Part]:
    """Of the cells of these targets that are done, every language there are predictions of.

    Each cell once, as the newest sweep has it, which is what the tidy table shows the score of.
    """
    for asked in newest(sweeps):
        wanted = asked.cell["target"] in targets and scope.covers(asked.cell)
        published = store.folder(asked.stage).published if wanted else None
        if published is None:
            continue
        for language in asked.cell["languages"]:
            path = published / "predictions" / f"{language}.{split}.parquet"
            if path.exists():
                yield Part(asked.cell, language, asked.seen.get(language, 0.0), path)


def read(path: Path, metric: str, language: str, task: str = "") -> Items:
    """Of a file of predictions, by the task's primary metric, one of METRICS; mining has no items of its own.

    Raises `DataError` naming a file that cannot be read, or a metric that is no sum over items.
    """
    if metric not in METRICS:
        raise DataError(path, f"{metric} is no sum over items")
    try:
        table = pq.ParquetFile(path).read(columns=["id", "prediction", "gold"], use_threads=False)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(path, f"not the predictions of an evaluation ({str(error).splitlines()[0]})") from None
    won, of = _counted(table, metric, language, task)
    return Items(table["id"].to_numpy(zero_copy_only=False).astype(str), won, of)


def _counted(table: pa.Table, metric: str, language: str, task: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if metric == "f1":
        right, found, there = tags.sentence_counts(table["gold"], table["prediction"])
        return 2.0 * right, (found + there).astype(float)
    if metric == "accuracy":
        won = pc.equal(table["prediction"], table["gold"]).to_numpy(zero_copy_only=False).astype(float)
    else:
        said, golds = table["prediction"].to_pylist(), table["gold"].to_pylist()
        if metric == "em_f1":
            version = "mlqa" if task == "mlqa" else "squad-1.1"
            won = np.array([_answered(a, tuple(g), version, language) for a, g in zip(said, golds, strict=True)])
        else:
            won = np.array([RANKED[metric](a, g, K) for a, g in zip(said, golds, strict=True)])
    return cast("NDArray[np.float64]", won), np.ones(len(won))


@lru_cache(maxsize=2**18)  # a sweep asks hundreds of runs the same question, and most of them say the same
def _answered(said: str | None, golds: tuple[str, ...], version: str, language: str) -> float:
    return sum(qa.score_item(said, golds, version, language)) / 2
