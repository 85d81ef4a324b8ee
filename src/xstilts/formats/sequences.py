"""From texts to what the encoder reads: ragged arrays of sub-words, framed by special tokens.

A part has up to millions of texts, so rows of different lengths lie end to end in one array and are never a list of
lists: cutting and joining are then a few numpy calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from xstilts.data.batches import Features
from xstilts.errors import UserError
from xstilts.formats.base import encoding_options, template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Ragged:
    """R rows of different lengths: row i is values[starts[i]:starts[i+1]]."""

    values: np.ndarray  # [N]
    starts: np.ndarray  # int64 [R+1]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Ragged:
        starts = offsets(np.fromiter(map(len, rows), np.int64, len(rows)))
        return cls(np.fromiter(chain.from_iterable(rows), np.int32, starts[-1]), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    @property
    def row(self) -> np.ndarray:
        """The row every value is in, int64 [N]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def spans(self, begin: np.ndarray, lengths: np.ndarray) -> Ragged:
        """New rows values[begin[i]:begin[i]+lengths[i]]."""
        starts = offsets(lengths)
        return Ragged(self.values[np.arange(starts[-1]) + np.repeat(begin - starts[:-1], lengths)], starts)

    def take(self, rows: np.ndarray) -> Ragged:
        return self.spans(self.starts[:-1][rows], self.lengths[rows])

    def first(self, lengths: np.ndarray) -> Ragged:
        """At most that many values of every row, from its beginning."""
        return self.spans(self.starts[:-1], np.minimum(lengths, self.lengths))

    def last(self, lengths: np.ndarray) -> Ragged:
        """At most that many values of every row, up to its end."""
        lengths = np.minimum(lengths, self.lengths)
        return self.spans(self.starts[1:] - lengths, lengths)


def offsets(lengths: np.ndarray) -> np.ndarray:
    """Where rows of these lengths start when laid end to end, and where the last one ends: int64 [R+1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def join(*columns: Ragged) -> Ragged:
    """Row i of every column, one after the other."""
    before = np.cumsum([np.zeros_like(columns[0].lengths), *(c.lengths for c in columns)], axis=0)
    starts = offsets(before[-1])
    values = np.empty(starts[-1], columns[0].values.dtype)
    for column, shift in zip(columns, before, strict=False):
        values[np.arange(len(column.values)) + np.repeat(starts[:-1] + shift - column.starts[:-1], column.lengths)] = (
            column.values
        )
    return Ragged(values, starts)


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Ragged:
    """The sub-words of every text, without special tokens. A text that comes again is tokenised once."""
    unique: dict[str, int] = {}
    index = np.fromiter((unique.setdefault(text, len(unique)) for text in texts), np.int64, len(texts))
    return Ragged.of(tokenizer(list(unique), **encoding_options())["input_ids"]).take(index)


@dataclass(frozen=True)
class Frame:
    """A tokenizer's special tokens: `before a after`, or `before a between b after`. Each int32 [few]."""

    before: np.ndarray
    between: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Frame:
        return cls(*(np.array(group, np.int32) for group in template(tokenizer, pair=True)))

    def room(self, max_length: int, pair: np.ndarray | bool = False) -> np.ndarray:
        """Sub-words that fit beside the special tokens of a sequence; of each one where `pair` is bool [S]."""
        special = len(self.before) + len(self.after) + len(self.between) * np.asarray(pair)
        if np.any(special >= max_length):
            raise UserError(f"max_length={max_length} leaves no room beside {np.max(special)} special tokens")
        return max_length - special

    def around(self, a: Ragged, b: Ragged | None = None, pair: np.ndarray | None = None) -> Ragged:
        """Whole sequences; `pair` (bool [S], all where not given) says which ones have a second text."""
        if b is None:
            return join(_each(self.before, len(a)), a, _each(self.after, len(a)))
        pair = np.ones(len(a), bool) if pair is None else pair
        between = _each(self.between, len(a)).first(len(self.between) * pair)
        return join(_each(self.before, len(a)), a, between, b, _each(self.after, len(a)))


def _each(values: np.ndarray, rows: int) -> Ragged:
    """The same values in every row."""
    return Ragged(np.tile(values, rows), np.arange(rows + 1, dtype=np.int64) * len(values))


def longest_first(a: np.ndarray, b: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many sub-words of two texts are kept, all int64 [S].

    The longer text gives first and both give alike when both are long, as Hugging Face's `longest_first` does: of an
    odd room, the longer one (the second where they are equal) has the one more.
    """
    short = np.minimum(np.minimum(a, b), room // 2)
    long = np.minimum(np.maximum(a, b), room - short)
    return np.where(a > b, long, short), np.where(a > b, short, long)


def one_a_unit(sequences: Ragged, item: np.ndarray | None = None) -> Features:
    """Features whose units are one sequence each; of the rows in their order where `item` is not given."""
    units = np.arange(len(sequences) + 1, dtype=np.int64)
    return Features(sequences.values, sequences.starts, units, units[:-1] if item is None else item)


def by_item(values: pa.Array, item: np.ndarray, items: int) -> pa.ListArray:
    """Values [N] as one list a row of the table, given the row of each (int64 [N]); keeps their order in a row."""
    order = np.argsort(item, kind="stable")
    starts = offsets(np.bincount(item, minlength=items))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), values.take(pa.array(order)))
