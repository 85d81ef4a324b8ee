"""One tag a word: parts of speech, named entities, CCG supertags."""

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
from xstilts.formats.base import Format, Limits, Outputs, Part, Score
from xstilts.formats.heads import linear
from xstilts.formats.labels import IGNORED, codes
from xstilts.formats.sequences import Frame, Ragged, by_item, join, offsets, one_a_unit, tokenize
from xstilts.model.dropout import Dropout
from xstilts.scoring.accuracy import commonest
from xstilts.scoring.tags import chunk_f1, token_accuracy
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder


class TaggingHead(nn.Module):
    """dropout, linear: states of tokens [T, H] -> [T, labels]."""

    def __init__(self, encoder: Encoder, labels: int) -> None:
        super().__init__()
        self.dropout = Dropout(encoder.config.hidden_dropout_prob)
        self.out_proj = linear(encoder, labels)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.out_proj(self.dropout(states))


class Tagging(Format):
    """As many `tags` as `tokens` (words) in every row.

    A word's tag is that of its first sub-word. As in XTREME's preprocessing, a word is tokenised by itself, one without
    any sub-word (a lone zero-width mark) or with more than a sequence holds is an <unk>, and a sentence that is too
    long is read in several units, cut between words: nothing is lost, and an item's prediction is whole again.
    """

    name = "tagging"
    columns = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("tokens", pa.list_(pa.string()), nullable=False),
            pa.field("tags", pa.list_(pa.string()), nullable=False),
        ]
    )
    aligned: ClassVar[Mapping[str, str]] = {"best": "token"}

    def check(self, table: pa.Table, task: Task) -> None:
        words, tags = (pc.list_value_length(table[name]).to_numpy() for name in ("tokens", "tags"))
        wrong = (words != tags) | (words == 0)
        if wrong.any():
            row = wrong.argmax()
            raise ValueError(f"item {table['id'][row].as_py()!r} has {words[row]} tokens and {tags[row]} tags")
        _labels(table, task)

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        frame = Frame.of(tokenizer)
        room = int(frame.room(limits.max_length))
        words, cut = _words(tokenizer, pc.list_flatten(table["tokens"]).to_pylist(), room)
        sentences = offsets(pc.list_value_length(table["tokens"]).to_numpy())
        pieces, item = _pieces(words.starts, sentences, room)
        features = one_a_unit(frame.around(Ragged(words.values, words.starts[pieces])), item)
        unit = np.repeat(np.arange(len(item)), np.diff(pieces))  # of every word
        labels = np.full(len(features.tokens), IGNORED, np.int64)
        labels[words.starts[:-1] + len(frame.before) * (unit + 1) + len(frame.after) * unit] = _labels(table, task)
        features.fields["labels"] = ("token", labels)
        features.cut = cut
        return features

    def head(self, task: Task, encoder: Encoder) -> TaggingHead:
        return TaggingHead(encoder, len(task.labels))

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy, one term a word."""
        labels = batch.fields["labels"]
        loss = F.cross_entropy(head(hidden).float(), labels, ignore_index=IGNORED, reduction="sum")
        return loss, (labels != IGNORED).sum()

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """`best` [T], the label of every token; only those of words' first sub-words mean something."""
        assert head is not None
        return {"best": head(hidden).argmax(-1)}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`prediction` and `gold`, a list of tags an item."""
        return {part: _predictions(outputs[part], features[part], table, task) for part, table in tables.items()}

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        """`f1` is XTREME's, by seqeval 0.0.12; beside it that of later seqevals, and the accuracy of tags."""
        scores = []
        for part, table in predictions.items():
            both = table["gold"], table["prediction"]
            scores += [
                Score(*part, "f1", "seqeval-0.0.12", chunk_f1(*both, "seqeval-0.0.12"), table.num_rows),
                Score(*part, "f1_seqeval_1.2.2", "seqeval-1.2.2", chunk_f1(*both, "seqeval-1.2.2"), table.num_rows),
                Score(*part, "accuracy", "token", token_accuracy(*both), table.num_rows),
            ]
        return scores

    def majority(self, table: pa.Table, task: Task) -> float:
        """By the task's own metric: of always giving the commonest tag, F1 may well be 0."""
        tags = pc.list_flatten(table["tags"])
        if task.metric == "accuracy":
            return commonest(tags)
        always = pc.value_counts(tags).to_pylist()
        tag = max(always, key=lambda entry: entry["counts"])["values"]
        starts = pa.array(offsets(pc.list_value_length(table["tags"]).to_numpy()), pa.int32())
        return chunk_f1(table["tags"], pa.ListArray.from_arrays(starts, pa.array([tag] * len(tags))), "seqeval-0.0.12")


def _labels(table: pa.Table, task: Task) -> np.ndarray:
    """The label of every word of the part, int64 [W]."""
    starts = offsets(pc.list_value_length(table["tags"]).to_numpy())
    return codes(
        pc.list_flatten(table["tags"]), task, lambda at: table["id"][np.searchsorted(starts, at, "right") - 1].as_py()
    )


def _words(tokenizer: PreTrainedTokenizerBase, words: list[str], room: int) -> tuple[Ragged, int]:
    """The sub-words of every word, at least 1 and at most `room`, and how many sub-words that cost.

    The space before a word is what byte-level tokenizers tell words by; to SentencePiece it makes no difference.
    """
    found = tokenize(tokenizer, [f" {word}" for word in words])
    fits = (found.lengths > 0) & (found.lengths <= room)
    unknown = Ragged(np.full((~fits).sum(), tokenizer.unk_token_id, np.int32), offsets(~fits))
    kept = found.first(found.lengths * fits)
    return join(kept, unknown), len(found.values) - len(kept.values)


def _pieces(words: np.ndarray, sentences: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Where to cut: word w begins at sub-word words[w], sentence i at word sentences[i].

    Gives the words where units begin, and the end of the last (int64 [U+1]), and the sentence of each unit (int64 [U]).
    Every unit takes as many whole words as have room, so only sentences that are too long are walked through.
    """
    begins = [sentences]
    for row in np.flatnonzero(np.diff(words[sentences]) > room):
        at, end = sentences[row], sentences[row + 1]
        while words[end] - words[at] > room:
            at = np.searchsorted(words, words[at] + room, "right") - 1
            begins.append(np.array([at]))
    pieces = np.sort(np.concatenate(begins))
    return pieces, np.searchsorted(sentences, pieces[:-1], "right") - 1


def _predictions(outputs: Outputs, features: Features, table: pa.Table, task: Task) -> pa.Table:
    word = features.fields["labels"][1] != IGNORED
    item = np.repeat(features.item, features.lengths)[word]
    tags = pa.array(task.labels, pa.string()).take(pa.array(outputs["best"][word]))
    return pa.table({"id": table["id"], "prediction": by_item(tags, item, table.num_rows), "gold": table["tags"]})
