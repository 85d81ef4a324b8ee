"""Retrieval: exact nearest neighbours in bounded memory, bitext mining, and the metrics over ranked lists.

Everything here is numpy on embeddings and ids. Fractions, not percents: formats and reports multiply.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

QUERIES, CANDIDATES = 1024, 16384  # a block of similarities is 64 MiB


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32 [N, D]; a row of zeros stays one."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def top_k(
    queries: np.ndarray, candidates: np.ndarray, k: int, blocks: tuple[int, int] = (QUERIES, CANDIDATES)
) -> tuple[np.ndarray, np.ndarray]:
    """The k candidates (fewer where there are fewer) with the largest dot product, the best first.

    `queries` [Q, D] and `candidates` [C, D] give similarities float32 [Q, k] and positions int64 [Q, k]. Of equal
    similarities the earlier candidate comes first. Exhaustive, block by block, so that memory does not grow with Q x C.
    """
    k = min(k, len(candidates))
    similarities = np.empty((len(queries), k), dtype=np.float32)
    positions = np.empty((len(queries), k), dtype=np.int64)
    for begin in range(0, len(queries), blocks[0]):
        rows = slice(begin, begin + blocks[0])
        few = -(-blocks[1] // 16)  # sorted whole; of the others only what is larger than the worst of them is
        best, where = _largest(queries[rows] @ candidates[:few].T, k)
        for first in range(few, len(candidates), blocks[1]):
            values = queries[rows] @ candidates[first : first + blocks[1]].T
            best, where = _merge(best, where, values, first, k)
        similarities[rows], positions[rows] = best, where
    return similarities, positions


def _merge(
    best: np.ndarray, where: np.ndarray, values: np.ndarray, first: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of `best` at `where` and of `values` [rows, C], whose columns are the positions from `first` on."""
    full = best.shape[1] == k
    # One as large as the worst that is kept stands behind it.
    row, column = np.nonzero(values > best[:, -1:] if full else np.ones_like(values, dtype=bool))
    rows = np.concatenate([np.repeat(np.arange(len(best)), best.shape[1]), row])
    found = np.concatenate([best.ravel(), values[row, column]])
    places = np.concatenate([where.ravel(), column + first])
    order = np.lexsort((-found, rows))  # stable: the earlier first among equals
    sizes = np.bincount(rows, minlength=len(best))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = order[rank < k]
    return found[chosen].reshape(len(best), -1), places[chosen].reshape(len(best), -1)


def _largest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of every row (all where there are fewer) and their columns, the earlier first among equals."""
    k = min(k, values.shape[1])
    if k == 1:
        order = values.argmax(axis=1)[:, None]
        return np.take_along_axis(values, order, axis=1), order
    # A partition is linear in the row but takes any of equals, so a row with more equals than places is sorted whole.
    chosen = np.sort(np.argpartition(-values, k - 1, axis=1)[:, :k], axis=1)
    found = np.take_along_axis(values, chosen, axis=1)
    order = np.take_along_axis(chosen, np.argsort(-found, axis=1, kind="stable"), axis=1)
    for row in np.flatnonzero((values >= found.min(axis=1, keepdims=True)).sum(axis=1) > k):
        order[row] = np.argsort(-values[row], kind="stable")[:k]
    return np.take_along_axis(values, order, axis=1), order


def average_precision(ranked: Sequence[str], golds: Collection[str], k: int) -> float:
    """AP@k as LAReQA defines it: over at most min(number of golds, k) places; a candidate counts once.

    Raises `ValueError` without golds, where it is undefined.
    """
    wanted = set(golds)
    if not wanted:
        raise ValueError("average precision needs a gold candidate")
    total, hits = 0.0, 0
    for rank, candidate in enumerate(ranked[:k], start=1):
        if candidate in wanted and candidate not in ranked[: rank - 1]:
            hits += 1
            total += hits / rank
    return total / min(len(wanted), k)


def reciprocal_rank(ranked: Sequence[str], golds: Collection[str], k: int) -> float:
    """1 / the rank of the first gold candidate among the first k; 0 when it is not there."""
    return next((1 / rank for rank, candidate in enumerate(ranked[:k], start=1) if candidate in golds), 0.0)


def mine(source: np.ndarray, target: np.ndarray, k: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate translation pairs with their ratio margin, the best first: two int64 [P] and float32 [P].

    Artetxe and Schwenk (2019), as LASER and XTREME run it on BUCC. The margin of a pair is its cosine over the mean of
    the two sides' mean cosines to their k nearest neighbours on the other side. Every sentence proposes the neighbour
    of the largest margin; proposals of both directions are accepted by margin as long as both sentences are free
    (retrieval "max"). A margin of 0 or less is no candidate. `source` [N, D] and `target` [M, D] need no unit length.
    """
    if not (len(source) and len(target)):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    source, target = unit_length(source), unit_length(target)
    forward, to_target = top_k(source, target, k)
    backward, to_source = top_k(target, source, k)
    source_mean, target_mean = forward.mean(axis=1), backward.mean(axis=1)
    forward = forward / ((source_mean[:, None] + target_mean[to_target]) / 2)
    backward = backward / ((target_mean[:, None] + source_mean[to_source]) / 2)
    sources = np.concatenate([np.arange(len(source)), _best(to_source, backward)])
    targets = np.concatenate([_best(to_target, forward), np.arange(len(target))])
    margins = np.concatenate([forward.max(axis=1), backward.max(axis=1)])
    free_source, free_target = np.ones(len(source), dtype=bool), np.ones(len(target), dtype=bool)
    kept = []
    for pair in np.argsort(-margins, kind="stable"):
        if free_source[sources[pair]] and free_target[targets[pair]]:
            free_source[sources[pair]] = free_target[targets[pair]] = False
            kept.append(pair)
    chosen = np.array(kept, dtype=np.int64)
    chosen = chosen[margins[chosen] > 0]
    return sources[chosen], targets[chosen], margins[chosen]


def _best(neighbours: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Of every row, the neighbour with the largest margin."""
    return np.take_along_axis(neighbours, margins.argmax(axis=1)[:, None], axis=1)[:, 0]


def best_threshold(scores: Sequence[float], correct: Sequence[bool], golds: int) -> float:
    """The score from which on keeping pairs gives the best F1 against `golds` gold pairs; 0 when no pair is right.

    Half-way to the next pair, as BUCC's script puts it; when the best cut keeps every pair, where that script stops
    with an error, the last pair's own score.
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    threshold, best, right = 0.0, 0.0, 0
    for kept, pair in enumerate(order, start=1):
        right += bool(correct[pair])
        f1 = _f1(right, kept, golds)
        if f1 > best:
            best = f1
            threshold = (scores[pair] + scores[order[min(kept, len(order) - 1)]]) / 2
    return threshold


@dataclass(frozen=True)
class PairScore:
    """Precision, recall and F1 of extracted pairs, as fractions."""

    precision: float
    recall: float
    f1: float


def pair_score(right: int, kept: int, golds: int) -> PairScore:
    """Of `kept` pairs of which `right` are among the `golds` gold ones; 0 when none is right, NaN without golds."""
    if not golds:
        return PairScore(nan, nan, nan)
    if not right:
        return PairScore(0.0, 0.0, 0.0)
    return PairScore(right / kept, right / golds, _f1(right, kept, golds))


def _f1(right: int, kept: int, golds: int) -> float:
    if not right:
        return 0.0
    precision, recall = right / kept, right / golds
    return 2 * precision * recall / (precision + recall)
