"""Sentence retrieval as in Tatoeba: for every English sentence, which sentence of the language is its translation?

Nothing is trained. A sentence is the mean of its tokens' states at one middle layer (the stage says which), special
tokens included. As in XTREME's script, the *English* sentences ask and the sentences of the language are what is
searched; the nearest by cosine is the answer. So row i asks with its `target` and is right when row i's `source` is
found; a translation that stands twice in the file is right once only, as there.

Two embeddings are recorded: `raw`, the official one, and `normalised`, where every token's state is first brought to
mean 0 and variance 1, since a few dimensions of large states dominate the cosine in models without a last layer norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn import functional as F

from xstilts.data.batches import Batch, Features
from xstilts.formats.base import Format, Limits, Outputs, Part, Score, mean
from xstilts.formats.neighbours import top_k
from xstilts.formats.sequences import Frame, Ragged, tokenize
from xstilts.scoring.accuracy import VERSION, accuracy
from xstilts.scoring.ranking import unit_length
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VARIANTS = {"raw": "", "normalised": "_normalised"}  # an output of `embed`, and the end of its columns and metrics


class Nearest(Format):
    """One unit a pair, two sequences a unit: the language's sentence, then the English one."""

    name = "nearest"
    trainable = False
    columns = pa.schema([("id", pa.string()), ("source", pa.string()), ("target", pa.string())])
    aligned: ClassVar[Mapping[str, str]] = dict.fromkeys(VARIANTS, "sequence")

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        source, target = table["source"].to_pylist(), table["target"].to_pylist()
        texts = [text for pair in zip(source, target, strict=True) for text in pair]
        sequences, cut = single_texts(tokenizer, texts, limits.max_length)
        units = np.arange(0, len(texts) + 1, 2, dtype=np.int64)
        return Features(sequences.values, sequences.starts, units, np.arange(table.num_rows, dtype=np.int64), cut=cut)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        return embed(hidden, batch)

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        predictions = {}
        for part, table in tables.items():
            columns = {"id": table["id"], "gold": table["id"]}
            for variant, suffix in VARIANTS.items():
                vectors = unit_length(outputs[part][variant])
                similarity, found = top_k(vectors[1::2], vectors[0::2], 1)
                columns["prediction" + suffix] = table["id"].take(pa.array(found[:, 0]))
                columns["score" + suffix] = pa.array(similarity[:, 0])
            predictions[part] = pa.table(columns)
        return predictions

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        scores = []
        for (language, split), table in predictions.items():
            gold = table["gold"].to_pylist()
            for suffix in VARIANTS.values():
                value = accuracy(gold, table["prediction" + suffix].to_pylist())
                scores.append(Score(language, split, "accuracy" + suffix, VERSION, value, len(gold)))
        return scores


def single_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int) -> tuple[Ragged, int]:
    """A sequence a text, and how many sub-words did not fit."""
    frame, pieces = Frame.of(tokenizer), tokenize(tokenizer, texts)
    kept = pieces.first(frame.room(max_length))
    return frame.around(kept), len(pieces.values) - len(kept.values)


def embed(hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
    """Both embeddings of every sequence, float32 [S, H]."""
    hidden = hidden.float()
    return {"raw": mean(hidden, batch), "normalised": mean(F.layer_norm(hidden, hidden.shape[-1:]), batch)}
