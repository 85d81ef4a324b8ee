"""One context and question, several answers to choose from: HellaSwag, Cosmos QA, CommonsenseQA, Social IQa, COPA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from xstilts.data.batches import Batch, Features
from xstilts.formats.base import Format, Limits, Outputs, Part, Score, first
from xstilts.formats.heads import SentenceHead
from xstilts.formats.sequences import Frame, offsets, tokenize
from xstilts.scoring.accuracy import VERSION, accuracy, commonest
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder


class Choice(Format):
    """`label` is the place of the right choice, from 0; items may have different numbers of choices.

    Every choice is read with what it is the answer to: the pair (context, question choice), where a task without
    questions gives (context, choice) and one without contexts (question, choice). The texts say it all: COPA's
    question is "What was the cause?" in the library already.

    `task.options`: `choices`, the number every item must have.
    """

    name = "choice"
    reads_firsts = True
    columns = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("context", pa.string(), nullable=False),
            pa.field("question", pa.string(), nullable=False),
            pa.field("choices", pa.list_(pa.string()), nullable=False),
            pa.field("label", pa.int64(), nullable=False),
        ]
    )
    aligned: ClassVar[Mapping[str, str]] = {"probabilities": "sequence"}

    def check(self, table: pa.Table, task: Task) -> None:
        count = pc.list_value_length(table["choices"]).to_numpy()
        wanted = task.options.get("choices")
        wrong = count < 2 if wanted is None else count != wanted
        if wrong.any():
            row = wrong.argmax()
            raise ValueError(
                f"item {table['id'][row].as_py()!r} has {count[row]} choices, not {wanted or 'two or more'}"
            )
        label = table["label"].to_numpy()
        wrong = (label < 0) | (label >= count)
        if wrong.any():
            row = wrong.argmax()
            valid = ", ".join(map(str, range(count[row])))
            raise ValueError(f"item {table['id'][row].as_py()!r} has the label {label[row]}; its choices are {valid}")

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        """One sequence a choice. What is too long loses the end of its context, then the beginning of the question."""
        frame = Frame.of(tokenizer)
        contexts, answers, count = _texts(table)
        pair = np.array([bool(text) for text in contexts])
        a, b = tokenize(tokenizer, contexts), tokenize(tokenizer, answers)
        room = frame.room(limits.max_length, pair)
        answer = b.last(room)
        context = a.first(room - answer.lengths)
        sequences = frame.around(context, answer, pair)
        items = np.arange(table.num_rows, dtype=np.int64)
        features = Features(sequences.values, sequences.starts, offsets(count), items)
        features.fields["labels"] = ("unit", table["label"].to_numpy())
        features.cut = len(a.values) + len(b.values) - len(context.values) - len(answer.values)
        return features

    def head(self, task: Task, encoder: Encoder) -> SentenceHead:
        return SentenceHead(encoder, 1, dropout_first=False)

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy over each unit's own choices, one term a unit."""
        right = _log_softmax(head(first(hidden, batch)).float().squeeze(-1), batch)[
            batch.units[:-1] + batch.fields["labels"]
        ]
        return -right.sum(), torch.full((), len(right), device=right.device)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """`probabilities` [S], of every choice among those of its unit."""
        assert head is not None
        return {"probabilities": _log_softmax(head(first(hidden, batch)).float().squeeze(-1), batch).exp()}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`prediction`, `gold` (places) and `confidence`, the probability of the prediction."""
        return {part: _predictions(outputs[part], features[part], table) for part, table in tables.items()}

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        return [
            Score(*part, "accuracy", VERSION, accuracy(table["gold"], table["prediction"]), table.num_rows)
            for part, table in predictions.items()
        ]

    def majority(self, table: pa.Table, task: Task) -> float:
        return commonest(table["label"])


def _texts(table: pa.Table) -> tuple[list[str], list[str], np.ndarray]:
    """The first and the second text of every sequence, and how many sequences each row has (int64)."""
    columns = (table[name].to_pylist() for name in ("context", "question", "choices"))
    contexts, answers, count = [], [], []
    for context, question, choices in zip(*columns, strict=True):
        if not context:
            context, question = question, ""
        contexts += [context] * len(choices)
        answers += [f"{question} {choice}" if question else choice for choice in choices]
        count.append(len(choices))
    return contexts, answers, np.array(count, np.int64)


def _log_softmax(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Log-probabilities [S] of scores [S], every unit's sequences by themselves."""
    place = torch.arange(len(scores), device=scores.device)
    unit = torch.searchsorted(batch.units, place, right=True) - 1
    top = torch.segment_reduce(scores.detach(), "max", offsets=batch.units, axis=0)
    shifted = scores - top[unit]
    return shifted - torch.segment_reduce(shifted.exp(), "sum", offsets=batch.units, axis=0).log()[unit]


def _predictions(outputs: Outputs, features: Features, table: pa.Table) -> pa.Table:
    count = np.diff(features.units)
    unit = np.repeat(np.arange(len(features)), count)
    padded = np.full((len(features), count.max()), -np.inf, np.float32)
    padded[features.item[unit], np.arange(len(unit)) - features.units[unit]] = outputs["probabilities"]
    return pa.table(
        {
            "id": table["id"],
            "prediction": pa.array(padded.argmax(1)),
            "gold": table["label"],
            "confidence": pa.array(padded.max(1)),
        }
    )
