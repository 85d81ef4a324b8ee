"""What a format is: everything that differs in code, not in data, between tasks.

A format knows its columns, turns rows into features, has a head and a loss, turns the head's outputs into predictions
and predictions into scores. It never sees padding: hidden states are flat, one row a token, in the order of the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from xstilts.data.batches import Batch, Features
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder

Part = tuple[str, str]  # language, split
Outputs = dict[str, np.ndarray]  # what a head said, first axis by unit, sequence or token


@dataclass(frozen=True)
class Limits:
    """How much of an item the encoder may see, in sub-words with special tokens."""

    max_length: int
    stride: int = 128  # overlap of the windows of a long context
    max_query_length: int = 64  # of a question, or of a dual encoder's query


@dataclass(frozen=True)
class Score:
    """One number about one part, before it is a row of the table."""

    language: str
    split: str
    metric: str
    version: str  # which definition of the metric
    value: float  # in percent; NaN where it cannot be said
    count: int  # items behind it


class Format(ABC):
    """One kind of item and everything about it. Stateless: the task says what differs."""

    name: ClassVar[str]
    columns: ClassVar[pa.Schema]  # of its canonical parquet; the first is `id`, a unique string
    trainable: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = False  # the loss needs all units of a step at once (in-batch negatives)

    reads_firsts: ClassVar[bool] = False  # of the encoder's states, those of the sequences' first tokens alone
    whole_vocabulary: ClassVar[bool] = False  # trains embeddings of sub-words that its features need not have

    def check(self, table: pa.Table, task: Task) -> None:  # noqa: B027 (most formats have nothing to add)
        """Refuse rows that this task cannot have, such as a label it does not know.

        Raises `ValueError` naming the row's id; the schema and unique ids are already checked by the library.
        """

    @abstractmethod
    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        """Model inputs of all rows, in their order."""

    def head(self, task: Task, encoder: Encoder) -> nn.Module:
        """A freshly initialised head on top of the encoder. Draws from torch's global generator."""
        raise NotImplementedError(f"{self.name} has no head")

    def corrupt(self, batch: Batch, tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator) -> Batch:
        """What is done to a batch before the encoder sees it, such as masking; a pure function of the batch and `rng`.

        Every unit's share in it depends on the unit and the generator's state only, not on its company: callers give
        every micro-batch of a step a generator in the same state, and evaluation one of `default_rng(0)`.
        """
        return batch

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed loss and the number of terms in it, both scalars; `hidden` is [T, H].

        The caller divides the sum over all micro-batches of a step by the count over all of them, so that the cut
        does not change the gradient.
        """
        raise NotImplementedError(f"{self.name} is not trained")

    @abstractmethod
    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """What decoding needs, each with first axis U, S or T of the batch (see `aligned`)."""

    #: alignment of each output of `outputs`: "unit", "sequence" or "token"
    aligned: ClassVar[Mapping[str, str]]

    @abstractmethod
    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """Predictions a part: a table with at least `id`, `prediction`, `gold`, one row an item, in item order.

        Only items that are asked about count: candidates of a pool have no row, and a part of nothing else no table.
        All parts of a target come at once, since a candidate pool may span languages.
        """

    @abstractmethod
    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        """Every metric of every part, the task's own metric among them; needs nothing but the predictions."""

    def majority(self, table: pa.Table, task: Task) -> float | None:
        """The score, in percent, of always giving the commonest answer: how a collapsed run is recognised.

        None where there is no such thing (spans, retrieval).
        """
        return None


def first(hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The state of every sequence's first token (<s>), [S, H]."""
    return hidden[batch.starts[:-1]]


def mean(hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean over every sequence's tokens, special ones included as XTREME does, [S, H]."""
    return torch.segment_reduce(hidden, "mean", offsets=batch.starts, axis=0)


def template(tokenizer: PreTrainedTokenizerBase, pair: bool = False) -> list[list[int]]:
    """The special tokens before, between and after the texts of a sequence.

    XLM-R: [[<s>], [</s>]] around one text and [[<s>], [</s>, </s>], [</s>]] around a pair.
    """
    encoding = tokenizer(*["a", "a"] if pair else ["a"])
    groups: list[list[int]] = [[]]
    for token, text in zip(encoding["input_ids"], encoding.sequence_ids(0), strict=True):
        if text is None:
            groups[-1].append(token)
        elif text == len(groups) - 1:
            groups.append([])
    return groups


def encoding_options() -> dict[str, Any]:
    """The tokenizer call every format makes: ids only, no padding, truncation is ours to count."""
    return {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
