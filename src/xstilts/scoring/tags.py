"""Chunk F1 of tagged sentences, as two versions of seqeval count it, and the accuracy of single tags.

XTREME scores named entities *and* parts of speech with seqeval 0.0.12. Bare tags such as NOUN are chunks to it too:
equal neighbours merge into one chunk, and a tag that begins with B, I, E, S or O is read as if that letter were its
position in a chunk (SCONJ and SYM never merge). From 1.0 on seqeval takes the first letter off a bare tag, so that
CCONJ and SCONJ are one type and a final X is no chunk at all: both are given, since published numbers mix them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstilts.scoring.accuracy import accuracy

Version = Literal["seqeval-0.0.12", "seqeval-1.2.2"]
Sentences: TypeAlias = Sequence[Sequence[str]] | pa.Array | pa.ChunkedArray  # the tags of each
POSITIONS = "BIESO."  # what the first letter of a tag says; "." is outside as O is


@dataclass(frozen=True)
class ChunkScore:
    """Over all chunks of all sentences (micro), in percent."""

    precision: float
    recall: float
    f1: float


def chunk_score(gold: Sentences, predicted: Sentences, version: Version) -> ChunkScore:
    """NaN of no sentence, 0 of no chunk in common.

    Raises `ValueError` naming the first sentence (from 0) whose tags are not as many as its gold ones.
    """
    right, found, there = _counts(*_aligned(gold, predicted), version)
    if not len(gold):
        return ChunkScore(nan, nan, nan)
    precision = right / found if found else 0.0
    recall = right / there if there else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return ChunkScore(100 * precision, 100 * recall, 100 * f1)


def chunk_f1(gold: Sentences, predicted: Sentences, version: Version) -> float:
    """The F1 of `chunk_score`."""
    return chunk_score(gold, predicted, version).f1


def sentence_counts(gold: Sentences, predicted: Sentences) -> np.ndarray:
    """Chunks that are right, predicted and in the gold tags, int64 [3, sentences], as seqeval 0.0.12 counts them.

    F1 of any choice of sentences is 2 x right / (predicted + gold) of their sums. That is not so from 1.0 on, where a
    bare X has the type of what lies between sentences and belongs to a chunk of an earlier one. Raises as `chunk_f1`
    does.
    """
    lists, others = _aligned(gold, predicted)
    ends, begin, kind = _chunks(*_codes(lists, others, "seqeval-0.0.12"))
    right = ends.all(axis=0) & (begin[0] == begin[1]) & (kind[0] == kind[1])
    outside = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy().astype(np.int64) + 1)])
    sentence = np.searchsorted(outside, np.arange(1, 1 + len(right)), "right") - 1
    counts = [np.bincount(sentence[which], minlength=len(lists)) for which in (right, ends[1], ends[0])]
    return np.stack([one[: len(lists)] for one in counts])


def token_accuracy(gold: Sentences, predicted: Sentences) -> float:
    """Percent of single tags that are right; NaN where there are none. Raises as `chunk_f1` does."""
    gold_tags, tags = (lists.flatten().to_numpy(zero_copy_only=False) for lists in _aligned(gold, predicted))
    return accuracy(gold_tags, tags)


def _aligned(gold: Sentences, predicted: Sentences) -> tuple[pa.ListArray, pa.ListArray]:
    """Both as Arrow lists, after a check that they speak of the same words."""
    lists, others = _lists(gold), _lists(predicted)
    if len(lists) != len(others):
        raise ValueError(f"{len(others)} sentences predicted for {len(lists)} gold ones")
    at = pc.index(pc.not_equal(pc.list_value_length(lists), pc.list_value_length(others)), True).as_py()
    if at >= 0:
        raise ValueError(f"sentence {at}: {len(others[at])} tags predicted for {len(lists[at])} words")
    return lists, others


def _lists(sentences: Sentences) -> pa.ListArray:
    if isinstance(sentences, pa.ChunkedArray):
        return sentences.combine_chunks()
    return sentences if isinstance(sentences, pa.Array) else pa.array(sentences, pa.list_(pa.string()))


def _counts(gold: pa.ListArray, predicted: pa.ListArray, version: Version) -> tuple[int, int, int]:
    """Chunks that are right, predicted, and in the gold tags.

    A chunk is told by where it ends, where it begins and its type; no two of one tagging end at the same place.
    """
    ends, begin, kind = _chunks(*_codes(gold, predicted, version))
    right = ends.all(axis=0) & (begin[0] == begin[1]) & (kind[0] == kind[1])
    return int(right.sum()), int(ends[1].sum()), int(ends[0].sum())


def _codes(gold: pa.ListArray, predicted: pa.ListArray, version: Version) -> tuple[np.ndarray, np.ndarray]:
    """The position (a place in `POSITIONS`, -1 for other letters) and the type of every tag, both int64 [2, N]."""
    tags = pa.concat_arrays([_laid_out(gold), _laid_out(predicted)]).dictionary_encode()
    names = tags.dictionary.to_pylist()
    position = np.array([POSITIONS.find(name[0]) for name in names])
    kind = np.unique([_type(name, version) for name in names], return_inverse=True)[1]
    code = tags.indices.to_numpy().reshape(2, -1)
    return position[code], kind[code]


def _laid_out(sentences: pa.ListArray) -> pa.Array:
    """All tags end to end, with an O before the first sentence and one after each."""
    lengths = pc.list_value_length(sentences).to_numpy().astype(np.int64)
    words = lengths.sum()
    outside = np.concatenate([[0], np.cumsum(lengths + 1)])
    take = np.full(words + len(outside), words)  # of the flat tags and one O behind them
    take[np.setdiff1d(np.arange(len(take)), outside, assume_unique=True)] = np.arange(words)
    return pa.concat_arrays([sentences.flatten(), pa.array(["O"])]).take(pa.array(take))


def _type(tag: str, version: Version) -> str:
    return tag.split("-")[-1] if version == "seqeval-0.0.12" else tag[1:].split("-", maxsplit=1)[-1] or "_"


def _chunks(position: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every word and row [2, N-2]: whether a chunk ends with it, where that chunk began, and its type."""
    before, after = position[:, :-1], position[:, 1:]
    changes = kind[:, :-1] != kind[:, 1:]
    ends = _is(before, "ES") | (_is(before, "BI") & _is(after, "BSO")) | (~_is(before, "O.") & changes)
    begins = _is(after, "BS") | (_is(before, "ESO") & _is(after, "EI")) | (~_is(after, "O.") & changes)
    latest = np.maximum.accumulate(np.where(begins, np.arange(begins.shape[1]), 0), axis=1)
    return ends[:, 1:], latest[:, :-1], kind[:, 1:-1]


def _is(position: np.ndarray, letters: str) -> np.ndarray:
    return np.isin(position, [POSITIONS.index(letter) for letter in letters])
