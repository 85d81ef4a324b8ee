"""One text or a pair of texts, one label: NLI, paraphrase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn
from torch.nn import functional as F

from xstilts.data.batches import Batch, Features
from xstilts.formats.base import Format, Limits, Outputs, Part, Score, first
from xstilts.formats.heads import SentenceHead
from xstilts.formats.labels import codes
from xstilts.formats.sequences import Frame, longest_first, one_a_unit, tokenize
from xstilts.scoring.accuracy import VERSION, accuracy, commonest
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder


class Classification(Format):
    """`text_b` is null where there is one text; labels are strings of `task.labels`."""

    name = "classification"
    reads_firsts = True
    columns = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("text_a", pa.string(), nullable=False),
            pa.field("text_b", pa.string()),
            pa.field("label", pa.string(), nullable=False),
        ]
    )
    aligned: ClassVar[Mapping[str, str]] = {"probabilities": "unit"}

    def check(self, table: pa.Table, task: Task) -> None:
        _labels(table, task)

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        """One sequence an item; of a pair that is too long, the longer text gives first."""
        frame = Frame.of(tokenizer)
        pair = pc.is_valid(table["text_b"]).to_numpy()
        a = tokenize(tokenizer, table["text_a"].to_pylist())
        b = tokenize(tokenizer, pc.fill_null(table["text_b"], "").to_pylist())
        kept = longest_first(a.lengths, b.lengths, frame.room(limits.max_length, pair))
        features = one_a_unit(frame.around(a.first(kept[0]), b.first(kept[1]), pair))
        features.fields["labels"] = ("unit", _labels(table, task))
        features.cut = len(a.values) + len(b.values) - int(kept[0].sum() + kept[1].sum())
        return features

    def head(self, task: Task, encoder: Encoder) -> SentenceHead:
        return SentenceHead(encoder, len(task.labels), dropout_first=True)

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy, one term a unit."""
        logits = head(first(hidden, batch)).float()
        labels = batch.fields["labels"]
        return F.cross_entropy(logits, labels, reduction="sum"), torch.full((), len(labels), device=logits.device)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """`probabilities` [U, labels]."""
        assert head is not None
        return {"probabilities": head(first(hidden, batch)).float().softmax(-1)}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`prediction`, `gold` (labels) and `confidence`, the probability of the prediction."""
        return {part: _predictions(outputs[part], features[part], table, task) for part, table in tables.items()}

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        return [
            Score(*part, "accuracy", VERSION, accuracy(table["gold"], table["prediction"]), table.num_rows)
            for part, table in predictions.items()
        ]

    def majority(self, table: pa.Table, task: Task) -> float:
        return commonest(table["label"])


def _labels(table: pa.Table, task: Task) -> np.ndarray:
    return codes(table["label"], task, lambda row: table["id"][row].as_py())


def _predictions(outputs: Outputs, features: Features, table: pa.Table, task: Task) -> pa.Table:
    probabilities = np.empty_like(outputs["probabilities"])
    probabilities[features.item] = outputs["probabilities"]
    names = pa.array(task.labels, pa.string())
    return pa.table(
        {
            "id": table["id"],
            "prediction": names.take(pa.array(probabilities.argmax(1))),
            "gold": table["label"],
            "confidence": pa.array(probabilities.max(1).astype(np.float32)),
        }
    )
