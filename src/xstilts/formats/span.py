"""Extractive question answering: which stretch of the context answers the question?

A long context is read through overlapping windows, each behind the whole question: `<s> question </s></s> window </s>`.
A window is a unit. It is labelled with the first and last token that touch the item's first answer, or twice with <s>
when it does not hold all of it. Limits: `stride` is how many tokens two neighbouring windows share, and
`max_query_length` counts the question without special tokens; what exceeds it is the only text ever lost.

Decoding is that of Hugging Face's SQuAD script: every pair of one of the 20 likeliest starts and one of the 20
likeliest ends of a window is an answer if it lies in the context, forwards, and is at most 30 tokens long; the largest
sum of the two logits over all windows wins, without softmax. (XTREME's older script also wants the start in the window
that shows most of its surroundings.) Where the task has unanswerable questions, there is no answer when the smallest
sum at <s> over the windows is larger.

Options of a task: `normalisation`, "squad" (default) or "mlqa", where the part's language decides; `no_answer`, whether
there are unanswerable questions (false by default).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from xstilts.data.batches import Batch, Features
from xstilts.errors import UserError, choices
from xstilts.formats.base import Format, Limits, Outputs, Part, Score
from xstilts.formats.extract import Contexts, best_spans
from xstilts.formats.heads import linear
from xstilts.formats.sequences import Frame, offsets, one_a_unit, tokenize
from xstilts.scoring.qa import MLQA_ARTICLES, evaluate
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder

NORMALISATIONS = {"squad": "squad-1.1", "mlqa": "mlqa"}
GOLD = pa.list_(pa.string())
ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int64())]))


class Span(Format):
    """One unit a window, one sequence a unit."""

    name = "span"
    columns = pa.schema(
        [("id", pa.string()), ("context", pa.string()), ("question", pa.string()), ("answers", ANSWERS)]
    )
    aligned: ClassVar[Mapping[str, str]] = {"start": "token", "end": "token"}

    def check(self, table: pa.Table, task: Task) -> None:
        if version(task) == "mlqa" and (unknown := set(task.languages) - set(MLQA_ARTICLES)):
            raise ValueError(f"MLQA's normalisation has no language {', '.join(sorted(unknown))}")
        for row in table.to_pylist():
            if not row["answers"] and not task.options.get("no_answer"):
                raise ValueError(f"{row['id']}: no answer, and {task.name} has no unanswerable questions")
            for answer in row["answers"]:
                found = row["context"][answer["start"] : answer["start"] + len(answer["text"])]
                if answer["start"] < 0 or not answer["text"] or found != answer["text"]:
                    raise ValueError(f"{row['id']}: answer {answer['text']!r} is not at character {answer['start']}")

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        frame, contexts = Frame.of(tokenizer), Contexts(tokenizer, table["context"].to_pylist())
        whole = tokenize(tokenizer, table["question"].to_pylist())
        questions = whole.first(np.full(len(whole), limits.max_query_length))
        room = frame.room(limits.max_length, pair=True) - questions.lengths
        if np.any(room <= limits.stride):
            raise UserError(
                f"max_length={limits.max_length} leaves windows of {room.min()} sub-words, which cannot overlap by "
                f"stride={limits.stride}: raise max_length, or lower stride or max_query_length"
            )
        length = contexts.lengths
        windows = 1 + -(-np.maximum(length - room, 0) // (room - limits.stride))
        item = np.repeat(np.arange(len(whole)), windows)
        begin = (np.arange(len(item)) - offsets(windows)[item]) * (room - limits.stride)[item]
        size = np.minimum(room[item], length[item] - begin)
        shown = contexts.show(contexts.tokens, item, begin, size)
        features = one_a_unit(frame.around(questions.take(item), shown), item)
        features.cut = len(whole.values) - len(questions.values)

        ahead = len(frame.before) + questions.lengths[item] + len(frame.between)  # tokens before the context
        first, last = (position[item] - begin for position in contexts.touched(*_first_answers(table)))
        inside = (first >= 0) & (first <= last) & (last < size)
        features.fields["start"] = ("unit", np.where(inside, ahead + first, 0))
        features.fields["end"] = ("unit", np.where(inside, ahead + last, 0))
        places = np.arange(len(shown.values)) + np.repeat(features.starts[:-1] + ahead - shown.starts[:-1], size)
        for name in ("begin", "finish"):  # a token's characters in the context, -1 where it is not of the context
            characters = np.full(len(features.tokens), -1, dtype=np.int32)
            characters[places] = contexts.show(getattr(contexts, name), item, begin, size).values
            features.fields[name] = ("token", characters)
        return features

    def head(self, task: Task, encoder: Encoder) -> nn.Module:
        """A start and an end logit a token."""
        return linear(encoder, 2)

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """A term a window: the mean of the cross entropies of start and end over all the window's positions."""
        logits = head(hidden).float()
        windows = torch.arange(len(batch), device=logits.device)
        window = torch.repeat_interleave(windows, batch.starts.diff(), output_size=len(logits))
        top = torch.segment_reduce(logits.detach(), "max", offsets=batch.starts, axis=0)
        total = torch.segment_reduce((logits - top[window]).exp(), "sum", offsets=batch.starts, axis=0).log() + top
        labels = torch.stack([batch.fields["start"], batch.fields["end"]], dim=1) + batch.starts[:-1, None]
        terms = (total - logits.gather(0, labels)).mean(dim=1)
        return terms.sum(), torch.full((), len(batch), device=logits.device)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        assert head is not None
        start, end = head(hidden).float().unbind(dim=1)
        return {"start": start, "end": end}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`score` is the sum of the answer's logits (missing where no span was possible), `null_score` that of <s>."""
        predictions = {}
        for part, table in tables.items():
            spans = best_spans(outputs[part]["start"], outputs[part]["end"], features[part])
            said = [
                context[begin:finish].strip()
                for context, begin, finish in zip(table["context"].to_pylist(), spans.begin, spans.finish, strict=True)
            ]
            if task.options.get("no_answer"):
                said = ["" if none else text for none, text in zip(spans.null > spans.score, said, strict=True)]
            predictions[part] = pa.table(
                {
                    "id": table["id"],
                    "prediction": pa.array(said, pa.string()),
                    "gold": pa.array([[a["text"] for a in row] for row in table["answers"].to_pylist()], GOLD),
                    "score": pa.array(spans.score, mask=np.isneginf(spans.score)),
                    "null_score": pa.array(spans.null),
                }
            )
        return predictions

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        scores = []
        for (language, split), table in predictions.items():
            result = evaluate(table["prediction"].to_pylist(), table["gold"].to_pylist(), version(task), language)
            for metric in ("exact_match", "f1", "em_f1"):
                scores.append(Score(language, split, metric, version(task), getattr(result, metric), result.count))
        return scores


def version(task: Task) -> str:
    """Which of `xstilts.scoring.qa.VERSIONS` the task's options mean."""
    name, no_answer = task.options.get("normalisation", "squad"), bool(task.options.get("no_answer"))
    if name not in NORMALISATIONS:
        raise UserError(f"task {task.name}: no normalisation {name!r}; {choices(str(name), NORMALISATIONS)}")
    if no_answer and name != "squad":
        raise UserError(f"task {task.name}: unanswerable questions are only scored with normalisation squad")
    return "squad-2.0" if no_answer else NORMALISATIONS[name]


def _first_answers(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The characters that every item's first answer begins at and finishes before; equal where there is none."""
    firsts = [(row[0]["start"], len(row[0]["text"])) if row else (0, 0) for row in table["answers"].to_pylist()]
    begin, length = np.array(firsts, dtype=np.int64).T
    return begin, begin + length
