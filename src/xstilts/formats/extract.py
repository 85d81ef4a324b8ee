"""From characters to tokens, to say where an answer is, and from tokens back to characters, to read it out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from xstilts.data.batches import Features
from xstilts.formats.base import encoding_options
from xstilts.formats.sequences import Ragged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

N_BEST = 20  # starts and ends that are looked at in a window
MAX_ANSWER = 30  # tokens
BLOCK = 256  # windows decoded at once


class Contexts:
    """The tokens of every item's context and where each stands in it; a context that comes again is read once."""

    tokens: Ragged
    begin: Ragged  # the first character of a token
    finish: Ragged  # the one after its last

    def __init__(self, tokenizer: PreTrainedTokenizerBase, contexts: Sequence[str]) -> None:
        unique: dict[str, int] = {}
        self._row = np.array([unique.setdefault(text, len(unique)) for text in contexts], dtype=np.int64)
        encoding = tokenizer(list(unique), return_offsets_mapping=True, **encoding_options())
        self.tokens = Ragged.of(encoding["input_ids"])
        pairs = chain.from_iterable(chain.from_iterable(encoding["offset_mapping"]))
        characters = np.fromiter(pairs, np.int32, 2 * len(self.tokens.values)).reshape(-1, 2)
        self.begin = Ragged(characters[:, 0], self.tokens.starts)
        self.finish = Ragged(characters[:, 1], self.tokens.starts)
        for row, text in enumerate(unique):
            span = slice(*self.tokens.starts[row : row + 2])
            _take_lost_characters(text, characters[span, 0], characters[span, 1])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every item's context, int64 [I]."""
        return self.tokens.lengths[self._row]

    def show(self, values: Ragged, item: np.ndarray, begin: np.ndarray, size: np.ndarray) -> Ragged:
        """Of `tokens`, `begin` or `finish`: windows of `item` that have `size` tokens from token `begin` on."""
        return values.spans(values.starts[:-1][self._row[item]] + begin, size)

    def touched(self, begin: np.ndarray, finish: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last token that share a character with begin[i]:finish[i] of item i's context, int64 [I].

        The first is behind the last where no token does.
        """
        first = np.searchsorted(_keys(self.finish), _key(self._row, begin), side="right")
        last = np.searchsorted(_keys(self.begin), _key(self._row, finish), side="left") - 1
        offset = self.tokens.starts[:-1][self._row]
        return first - offset, last - offset


def _key(row: np.ndarray, character: np.ndarray) -> np.ndarray:
    """One number that sorts by row and then by character."""
    return row.astype(np.int64) << 32 | character


def _keys(characters: Ragged) -> np.ndarray:
    return _key(characters.row, characters.values)


def _take_lost_characters(text: str, begin: np.ndarray, finish: np.ndarray) -> None:
    """Let every token have the characters right behind it that no token has, unless they are white or invisible.

    A tokenizer that composes (NFKC: `e` and a combining accent, or the letters of a Hangul syllable) may place the
    composed letter at its first character alone, and the accent would be cut off an answer.
    """
    following = np.append(begin[1:], len(text))
    for token in np.flatnonzero(finish < following):
        end = int(finish[token])
        while end < following[token] and unicodedata.category(text[end])[0] not in "CZ":
            end += 1
        finish[token] = end


@dataclass(frozen=True)
class Spans:
    """The best span of every item, all [I]: characters begin:finish, empty where no span was possible."""

    begin: np.ndarray
    finish: np.ndarray
    score: np.ndarray  # float32, the sum of the two logits; -inf where no span was possible
    null: np.ndarray  # float32, the smallest sum of the two logits at <s> over the item's windows


def best_spans(start: np.ndarray, end: np.ndarray, features: Features) -> Spans:
    """Decode start and end logits, float32 [T], of windows with fields `begin` and `finish`."""
    blocks = zip(*(_best_in_windows(start, end, features, *block) for block in _blocks(len(features))), strict=True)
    begin, finish, score = (np.concatenate(values) for values in blocks)
    null = (start + end)[features.starts[:-1]]
    best = np.lexsort((-score, features.item))  # stable: among equals, the earlier window
    items, firsts = np.unique(features.item, return_index=True)
    best = best[np.searchsorted(features.item[best], items)]
    return Spans(begin[best], finish[best], score[best], np.minimum.reduceat(null, firsts))


def _blocks(windows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, windows, BLOCK):
        yield first, min(first + BLOCK, windows)


def _best_in_windows(
    start: np.ndarray, end: np.ndarray, features: Features, first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Begin, finish and score of the best span in each of the windows first:last."""
    offsets = features.starts[first:last]
    sizes = features.starts[first + 1 : last + 1] - offsets
    columns = np.arange(sizes.max())
    there = columns < sizes[:, None]
    places = np.where(there, offsets[:, None] + columns, 0)
    begin, finish = (np.where(there, features.fields[name][1][places], -1) for name in ("begin", "finish"))
    starts, starts_at = _n_best(np.where(there, start[places], -np.inf))
    ends, ends_at = _n_best(np.where(there, end[places], -np.inf))

    size = ends_at[:, None, :] - starts_at[:, :, None] + 1
    of_context = (np.take_along_axis(begin, starts_at, 1) >= 0)[:, :, None]
    of_context = of_context & (np.take_along_axis(finish, ends_at, 1) >= 0)[:, None, :]
    scores = np.where((size > 0) & (size <= MAX_ANSWER) & of_context, starts[:, :, None] + ends[:, None, :], -np.inf)
    scores = scores.reshape(len(scores), -1)
    best = scores.argmax(axis=1)[:, None]
    score = np.take_along_axis(scores, best, 1)[:, 0]
    from_token = np.take_along_axis(starts_at, best // ends.shape[1], 1)
    to_token = np.take_along_axis(ends_at, best % ends.shape[1], 1)
    found = np.isfinite(score)
    characters = (np.take_along_axis(begin, from_token, 1)[:, 0], np.take_along_axis(finish, to_token, 1)[:, 0])
    return np.where(found, characters[0], 0), np.where(found, characters[1], 0), score.astype(np.float32)


def _n_best(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest logits of every window and where they are, descending, the earlier first among equals."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :N_BEST]
    return np.take_along_axis(logits, order, axis=1), order
