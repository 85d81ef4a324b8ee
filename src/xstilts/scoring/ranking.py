"""Retrieval: exact nearest neighbours in bounded memory, bitext mining, and the metrics over ranked lists.

Everything here is numpy on embeddings and ids. Fractions, not percents: formats and reports multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan

import numpy as np

QUERIES, CANDIDATES = 1024, 16384  # a block of similarities is 64 MiB

Found = tuple[np.ndarray, np.ndarray]  # similarities float32 [Q, k] and positions int64 [Q, k], a row's best first


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32 [N, D]; a row of zeros stays one."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def top_k(
    queries: np.ndarray, candidates: np.ndarray, k: int, blocks: tuple[int, int] = (QUERIES, CANDIDATES)
) -> Found:
    """The k candidates (fewer where there are fewer) with the largest dot product, the best first.

    Of `queries` [Q, D] among `candidates` [C, D]. Of equal similarities the earlier candidate comes first. Exhaustive,
    block by block, so that memory does not grow with Q x C.
    """
    found = _Nearest(len(queries), min(k, len(candidates)))
    for row, column, values in _products(queries, candidates, blocks):
        found.add(row, column, values)
    return found.similarities, found.positions


def top_k_both_ways(
    source: np.ndarray, target: np.ndarray, k: int, blocks: tuple[int, int] = (QUERIES, CANDIDATES)
) -> tuple[Found, Found]:
    """`top_k` of the sources among the targets and of the targets among the sources; every product is taken once."""
    forward, backward = _Nearest(len(source), min(k, len(target))), _Nearest(len(target), min(k, len(source)))
    for row, column, values in _products(source, target, blocks):
        forward.add(row, column, values)
        backward.add(column, row, values.T)
    return (forward.similarities, forward.positions), (backward.similarities, backward.positions)


def _products(
    queries: np.ndarray, candidates: np.ndarray, blocks: tuple[int, int]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Blocks of similarities, and where their first row and column stand; of a row the earlier columns first."""
    few = -(-blocks[1] // 16)  # sorted whole; of the others only what is larger than the worst of them is
    edges = [0, *range(few, len(candidates), blocks[1]), len(candidates)]
    for row in range(0, len(queries), blocks[0]):
        for begin, end in pairwise(edges):
            if end > begin:
                yield row, begin, queries[row : row + blocks[0]] @ candidates[begin:end].T


class _Nearest:
    """The best candidates of every query, of those that were seen so far."""

    def __init__(self, queries: int, k: int) -> None:
        self.similarities = np.full((queries, k), -np.inf, dtype=np.float32)
        self.positions = np.zeros((queries, k), dtype=np.int64)

    def add(self, query: int, candidate: int, values: np.ndarray) -> None:
        """Similarities [R, C] of the queries from `query` on with the candidates from `candidate` on, which go up."""
        best = self.similarities[query : query + len(values)]
        where = self.positions[query : query + len(values)]
        if candidate == 0:
            found, places = _largest(values, best.shape[1])
            best[:, : found.shape[1]], where[:, : found.shape[1]] = found, places
        elif best.size:
            best[:], where[:] = _merge(best, where, values, candidate)


def _merge(best: np.ndarray, where: np.ndarray, values: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest of `best` [R, k] at `where` and of `values` [R, C], whose columns are positions from `first` on."""
    row, column = _places(values > best[:, -1:])  # one as large as the worst that is kept stands behind it
    rows = np.concatenate([np.repeat(np.arange(len(best)), best.shape[1]), row])
    found = np.concatenate([best.ravel(), values[row, column]])
    places = np.concatenate([where.ravel(), column + first])
    order = np.lexsort((-found, rows))  # stable: the earlier first among equals
    sizes = np.bincount(rows, minlength=len(best))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = order[rank < best.shape[1]]
    return found[chosen].reshape(best.shape), places[chosen].reshape(best.shape)


def _places(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is True, a row's columns going up: what `nonzero` finds, several times as fast."""
    if not chosen.flags.c_contiguous:  # the products of the other direction
        column, row = divmod(np.flatnonzero(chosen.T), len(chosen))
    else:
        row, column = divmod(np.flatnonzero(chosen), chosen.shape[1])
    return row, column


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


def mine(
    source: np.ndarray,
    target: np.ndarray,
    k: int = 4,
    search: Callable[[np.ndarray, np.ndarray, int], tuple[Found, Found]] = top_k_both_ways,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate translation pairs with their ratio margin, the best first: two int64 [P] and float32 [P].

    Artetxe and Schwenk (2019), as LASER and XTREME run it on BUCC. The margin of a pair is its cosine over the mean of
    the two sides' mean cosines to their k nearest neighbours on the other side. Every sentence proposes the neighbour
    of the largest margin; proposals of both directions are accepted by margin as long as both sentences are free
    (retrieval "max"). A margin of 0 or less is no candidate. `source` [N, D] and `target` [M, D] need no unit length;
    `search` finds the neighbours.
    """
    if not (len(source) and len(target)):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    source, target = unit_length(source), unit_length(target)
    (forward, to_target), (backward, to_source) = search(source, target, k)
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
