"""Retrieval with a trained dual encoder, as in LAReQA and Mewsli-X: which candidates answer, or are meant by, a query?

One tower reads queries and candidates alike. A row is one of

- `pair`: `query`, its right `candidate`, and in `positives` that candidate's id first. Two sequences a unit;
- `query`: `query`, and in `positives` the ids of all candidates that are right. One sequence;
- `candidate`: `candidate`, whose id is the row's. One sequence.

Texts that a row has not are empty. Queries are cut to `max_query_length` and candidates to `max_length`, special tokens
counted in both. LAReQA's candidate is its sentence followed by the whole paragraph, as one text.

Training sees pairs: softmax over the candidates of all pairs of the step, from query to candidate only. Pairs of one
step that have the same candidate (two questions about one sentence) are not negatives of each other; XTREME lets them
be.

Queries are ranked against the candidate rows of all parts together, whatever their language. Pairs, which is what a
selection part has, are ranked against the distinct candidates of their own part. A part of candidates alone has no
predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn import functional as F

from xstilts.data.batches import Batch, Features
from xstilts.errors import UserError
from xstilts.formats.base import Format, Limits, Outputs, Part, Score, first
from xstilts.formats.heads import linear
from xstilts.formats.neighbours import top_k
from xstilts.formats.sequences import Frame, offsets, tokenize
from xstilts.scoring.ranking import average_precision, reciprocal_rank
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder

K = 20  # candidates kept a query
TEXTS = {"pair": ("query", "candidate"), "query": ("query",), "candidate": ("candidate",)}  # what a kind of row has
METRICS: dict[str, tuple[str, Callable[[list[str], list[str], int], float]]] = {
    "map20": ("lareqa", average_precision),
    "mrr20": ("mewsli-x", reciprocal_rank),
}


class Tower(nn.Module):
    """First states [S, H] to unit vectors [S, H]: dense, tanh, length 1. `logit_scale` multiplies their products."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.dense = linear(encoder, encoder.hidden_size)
        self.logit_scale = nn.Parameter(torch.tensor([100.0]))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return F.normalize(torch.tanh(self.dense(states)).float(), dim=1)


class DualEncoder(Format):
    """Units of one or two sequences, by the kind of row."""

    name = "dual_encoder"
    reads_firsts = True
    whole_batch = True
    columns = pa.schema(
        [(name, pa.string()) for name in ("id", "kind", "query", "candidate")] + [("positives", pa.list_(pa.string()))]
    )
    aligned: ClassVar[Mapping[str, str]] = {"embedding": "sequence"}

    def check(self, table: pa.Table, task: Task) -> None:
        for row in table.to_pylist():
            if row["kind"] not in TEXTS:
                raise ValueError(f"{row['id']}: kind is {row['kind']!r}, not {', '.join(TEXTS)}")
            for text in ("query", "candidate"):
                if bool(row[text]) != (text in TEXTS[row["kind"]]):
                    raise ValueError(f"{row['id']}: a {row['kind']} has {'no' if row[text] else 'a'} {text} text")
            if bool(row["positives"]) != (row["kind"] != "candidate"):
                raise ValueError(f"{row['id']}: pairs and queries have positives, and candidates have none")

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        rows = table.to_pylist()
        texts = [(name, row[name]) for row in rows for name in TEXTS[row["kind"]]]
        frame, pieces = Frame.of(tokenizer), tokenize(tokenizer, [text for _, text in texts])
        rooms = {"query": frame.room(limits.max_query_length), "candidate": frame.room(limits.max_length)}
        room = np.array([rooms[name] for name, _ in texts])
        sequences = frame.around(pieces.first(room))
        return Features(
            tokens=sequences.values,
            starts=sequences.starts,
            units=offsets(np.array([len(TEXTS[row["kind"]]) for row in rows])),
            item=np.arange(len(rows), dtype=np.int64),
            fields={"candidate": ("unit", np.array([_key(row) for row in rows], dtype=np.int64))},
            cut=int(np.maximum(pieces.lengths - room, 0).sum()),
        )

    def head(self, task: Task, encoder: Encoder) -> nn.Module:
        return Tower(encoder)

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """A term a pair: the cross entropy of its candidate among those of the batch, equal ones left out."""
        vectors = head(first(hidden, batch))
        queries, candidates = vectors[0::2], vectors[1::2]  # of pairs alone, which training parts are
        ids = batch.fields["candidate"]
        same = (ids[:, None] == ids[None, :]) & ~torch.eye(len(ids), dtype=torch.bool, device=ids.device)
        with torch.autocast(hidden.device.type, enabled=False):  # a scale of 100 leaves no digits of a bf16 product
            logits = (queries @ candidates.T * head.logit_scale).masked_fill(same, -torch.inf)
        labels = torch.arange(len(ids), device=ids.device)
        return F.cross_entropy(logits, labels, reduction="sum"), torch.full((), len(ids), device=ids.device)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        assert head is not None
        return {"embedding": head(first(hidden, batch))}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`prediction` is the 20 best candidates' ids, the best first, and `gold` all that are right."""
        pool = _pool(outputs, features, tables, "candidate")
        predictions = {}
        for part, table in tables.items():
            kinds = np.array(table["kind"].to_pylist())
            asked = np.flatnonzero(kinds != "candidate")
            if not len(asked):
                continue
            ids, vectors = _pool(outputs, features, {part: table}, "pair") if "pair" in kinds else pool
            if not ids:
                raise UserError(f"{task.name}: no candidates to rank for {'/'.join(part)}; fill its shared parts")
            queries = outputs[part]["embedding"][features[part].units[:-1][asked]]
            _, found = top_k(queries, vectors, K)
            table = table.take(pa.array(asked))
            ranked = [[ids[place] for place in row] for row in found.tolist()]
            columns = {"id": table["id"], "prediction": pa.array(ranked, pa.list_(pa.string()))}
            predictions[part] = pa.table({**columns, "gold": table["positives"]})
        return predictions

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        scores = []
        for (language, split), table in predictions.items():
            ranked, golds = table["prediction"].to_pylist(), table["gold"].to_pylist()
            for metric, (version, function) in METRICS.items():
                values = [function(row, gold, K) for row, gold in zip(ranked, golds, strict=True)]
                value = 100 * float(np.mean(values)) if values else float("nan")
                scores.append(Score(language, split, metric, version, value, len(values)))
        return scores


def _key(row: dict) -> int:
    """A number that is the same for the same candidate id, in whatever part it stands."""
    name = row["id"] if row["kind"] == "candidate" else row["positives"][0]
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def _pool(
    outputs: Mapping[Part, Outputs], features: Mapping[Part, Features], tables: Mapping[Part, pa.Table], kind: str
) -> tuple[list[str], np.ndarray]:
    """The distinct candidates of all rows of a kind: their ids and vectors, in the order of parts and rows."""
    where: dict[str, tuple[Part, int]] = {}
    for part, table in tables.items():
        columns = (table[name].to_pylist() for name in ("id", "kind", "positives"))
        for row, (name, of_kind, positives) in enumerate(zip(*columns, strict=True)):
            if of_kind == kind:
                where.setdefault(name if kind == "candidate" else positives[0], (part, row))
    vectors = [
        outputs[part]["embedding"][features[part].units[1:][[row for p, row in where.values() if p == part]] - 1]
        for part in tables
    ]
    return list(where), np.concatenate(vectors) if where else np.empty((0, 0), dtype=np.float32)
