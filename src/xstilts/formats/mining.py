"""Bitext mining as in BUCC: which sentences of two monolingual pools are translations of each other?

A row is a sentence of one side, with the id of its translation on the other where it has one. Nothing is trained;
sentences are embedded as in `nearest`, and mined by ratio margin with 4 neighbours (`xstilts.scoring.ranking.mine`).
As in XTREME's script, a text is mined once however often it stands in a pool, and then dropped if it stands there more
than once, since its id cannot be told.

A pair is extracted when its margin reaches a threshold. `f1`, `precision` and `recall` use the threshold that is best
on the language's `dev` part, for `dev` itself too; where there is no `dev` part they are NaN, and their version ends
in `no-dev-threshold`. `f1_best` uses the threshold that is best on the part itself: an upper bound, and what jiant
reports.

Predictions have a row a sentence of the source side: the sentence paired with it if any, whatever the margin; the
margin; and its gold translations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from xstilts.data.batches import Batch, Features
from xstilts.formats.base import Format, Limits, Outputs, Part, Score
from xstilts.formats.nearest import VARIANTS, embed, single_texts
from xstilts.formats.neighbours import mine
from xstilts.formats.sequences import one_a_unit
from xstilts.scoring.ranking import PairScore, best_threshold, pair_score
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SIDES = ("source", "target")
VERSION = "ratio4-max"


class Mining(Format):
    """One unit a sentence, one sequence a unit."""

    name = "mining"
    trainable = False
    columns = pa.schema([(name, pa.string()) for name in ("id", "side", "text", "pair")])
    aligned: ClassVar[Mapping[str, str]] = dict.fromkeys(VARIANTS, "unit")

    def check(self, table: pa.Table, task: Task) -> None:
        rows = table.to_pylist()
        sides = {row["id"]: row["side"] for row in rows}
        for row in rows:
            if row["side"] not in SIDES:
                raise ValueError(f"{row['id']}: side is {row['side']!r}, not source or target")
            if row["pair"] is not None and sides.get(row["pair"], row["side"]) == row["side"]:
                raise ValueError(f"{row['id']}: its pair {row['pair']!r} is not a sentence of the other side")

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        sequences, cut = single_texts(tokenizer, table["text"].to_pylist(), limits.max_length)
        return replace(one_a_unit(sequences), cut=cut)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        return embed(hidden, batch)

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        return {part: _mine(table, outputs[part]) for part, table in tables.items()}

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        scores = []
        for (language, split), table in predictions.items():
            dev = predictions.get((language, "dev"))
            for suffix in VARIANTS.values():
                pairs = _Pairs.of(table, suffix)
                own = pairs.cut(pairs.threshold)
                found = pairs.cut(_Pairs.of(dev, suffix).threshold) if dev is not None else PairScore(nan, nan, nan)
                version = f"{VERSION}-{'dev' if dev is not None else 'no-dev'}-threshold"
                values = {"f1": found.f1, "precision": found.precision, "recall": found.recall}
                for metric, value in values.items():
                    scores.append(Score(language, split, metric + suffix, version, 100 * value, pairs.golds))
                version = f"{VERSION}-own-threshold"
                scores.append(Score(language, split, f"f1_best{suffix}", version, 100 * own.f1, pairs.golds))
        return scores


def _mine(table: pa.Table, outputs: Outputs) -> pa.Table:
    """Predictions of one part."""
    ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
    rows = {side: np.flatnonzero(np.array(table["side"].to_pylist()) == side) for side in SIDES}
    pools = {side: _unique(texts, rows[side]) for side in SIDES}
    columns: dict[str, object] = {"id": [ids[row] for row in rows["source"]]}
    for variant, suffix in VARIANTS.items():
        vectors = outputs[variant]
        pairs = zip(*mine(vectors[pools["source"].rows], vectors[pools["target"].rows]), strict=True)
        found = {
            int(pools["source"].rows[source]): (ids[pools["target"].rows[target]], float(margin))
            for source, target, margin in pairs
            if pools["source"].alone[source] and pools["target"].alone[target]
        }
        said = [found.get(row, (None, None)) for row in rows["source"].tolist()]
        columns["prediction" + suffix] = pa.array([name for name, _ in said], pa.string())
        columns["score" + suffix] = pa.array([margin for _, margin in said], pa.float32())
    columns["gold"] = pa.array(_golds(table, columns["id"]), pa.list_(pa.string()))
    return pa.table(columns)


@dataclass(frozen=True)
class _Pool:
    """The distinct sentences of a side."""

    rows: np.ndarray  # int64 [N], where each stands first
    alone: np.ndarray  # bool [N], it stands nowhere else, white space at its ends aside


def _unique(texts: list[str], rows: np.ndarray) -> _Pool:
    first: dict[str, int] = {}
    for row in rows.tolist():
        first.setdefault(texts[row], row)
    times = Counter(texts[row].strip() for row in rows.tolist())
    alone = [times[text.strip()] == 1 for text in first]
    return _Pool(np.array(list(first.values()), dtype=np.int64), np.array(alone, dtype=bool))


def _golds(table: pa.Table, sources: object) -> list[list[str]]:
    """The translations of every source sentence, said on either side."""
    golds: dict[str, list[str]] = {name: [] for name in sources}  # type: ignore[attr-defined]
    for row in table.to_pylist():
        if row["pair"] is not None:
            source, target = (row["id"], row["pair"]) if row["side"] == "source" else (row["pair"], row["id"])
            if target not in golds[source]:
                golds[source].append(target)
    return list(golds.values())


@dataclass(frozen=True)
class _Pairs:
    """The candidate pairs of a part."""

    margins: np.ndarray  # float64 [P]
    right: np.ndarray  # bool [P]
    golds: int

    @classmethod
    def of(cls, table: pa.Table, suffix: str) -> _Pairs:
        said, margins = table["prediction" + suffix].to_pylist(), table["score" + suffix].to_pylist()
        golds = table["gold"].to_pylist()
        kept = [i for i, name in enumerate(said) if name is not None]
        return cls(
            np.array([margins[i] for i in kept], dtype=np.float64),
            np.array([said[i] in golds[i] for i in kept], dtype=bool),
            sum(map(len, golds)),
        )

    @property
    def threshold(self) -> float:
        return best_threshold(self.margins.tolist(), self.right.tolist(), self.golds)

    def cut(self, threshold: float) -> PairScore:
        kept = self.margins >= threshold
        return pair_score(int((self.right & kept).sum()), int(kept.sum()), self.golds)
