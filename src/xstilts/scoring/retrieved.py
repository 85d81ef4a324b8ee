"""Retrieval from files: what was found, ranked or extracted, or embeddings to find it with."""

from __future__ import annotations

import re

import numpy as np

from xstilts.errors import DataError, UserError
from xstilts.scoring import inputs
from xstilts.scoring.accuracy import VERSION, accuracy
from xstilts.scoring.asked import Asked, Found
from xstilts.scoring.ranking import (
    average_precision,
    best_threshold,
    mine,
    pair_score,
    reciprocal_rank,
    top_k,
    unit_length,
)

K = 20  # candidates that count in a ranked list


def tatoeba(asked: Asked) -> Found:
    """Which sentence of the language was found for every English one. XTREME's script writes "[12]" for 12."""
    if asked.arrays:
        queries, candidates, golds = _embedded(asked)
        found = top_k(unit_length(queries), unit_length(candidates), 1)[1][:, 0].tolist()
        right = [row in gold for row, gold in zip(found, golds, strict=True)]
        value = 100 * float(np.mean(right))
        return {"version": VERSION, "value": value, "accuracy": value, "count": len(right)}
    golds_, said = (inputs.labels(path) for path in (asked.references, asked.file))
    asked.paired("sentences", len(said), len(golds_), min(len(said), len(golds_)))
    bare = [re.sub(r"^\[\s*(\d+)\s*\]$", r"\1", line) for line in said]
    value = accuracy(np.array(golds_, object), np.array(bare, object))
    bracketed = sum(a != b for a, b in zip(said, bare, strict=True))
    return {"version": VERSION, "value": value, "accuracy": value, "count": len(said), "bracketed": bracketed}


def bucc(asked: Asked) -> Found:
    """Pairs that were extracted, as sets; or pairs mined from embeddings, from a threshold on."""
    version, right, kept, golds, beside = _mined(asked) if asked.arrays else _extracted(asked)
    if not golds:
        raise DataError(asked.references, "has no pair")
    percent = {name: 100 * value for name, value in vars(pair_score(right, kept, golds)).items()}
    return {"version": version, "value": percent["f1"], **percent, "count": golds, "extracted": kept, **beside}


def _extracted(asked: Asked) -> tuple[str, int, int, int, Found]:
    """Version, right pairs, pairs, gold pairs."""
    if asked.threshold is not None:
        raise UserError("--threshold cuts pairs mined from embeddings; a file of pairs is cut already")
    gold, said = set(inputs.pairs(asked.references)), set(inputs.pairs(asked.file))
    return "xtreme", len(gold & said), len(said), len(gold), {}


def _mined(asked: Asked) -> tuple[str, int, int, int, Found]:
    """Likewise, and the threshold: the best one unless it is given."""
    source, target, golds = _embedded(asked, every=False)
    sources, targets, margins = mine(source, target)
    right = np.array([int(t) in golds[s] for s, t in zip(sources, targets, strict=True)], bool)
    wanted, limit = sum(map(len, golds)), asked.threshold
    if limit is None:
        limit = best_threshold(margins.tolist(), right.tolist(), wanted)
    kept = margins >= limit
    return "ratio4-max", int((right & kept).sum()), int(kept.sum()), wanted, {"threshold": limit}


def map20(asked: Asked) -> Found:
    golds, said, extra = _rankings(asked)
    value = 100 * float(np.mean([average_precision(said.get(name, []), gold, K) for name, gold in golds.items()]))
    return {"version": "lareqa", "value": value, "map20": value, **extra}


def mrr20(asked: Asked) -> Found:
    """As Mewsli-X's script: of several golds the first is meant."""
    golds, said, extra = _rankings(asked)
    if asked.arrays:
        ranks = [reciprocal_rank(said[name], gold, K) for name, gold in golds.items()]
    else:
        ranks = [reciprocal_rank(said.get(name, []), [gold[0].strip()], K) for name, gold in golds.items()]
    value = 100 * float(np.mean(ranks))
    return {"version": "mewsli-x", "value": value, "mrr20": value, **extra}


def _rankings(asked: Asked) -> tuple[dict[str, list[str]], dict[str, list[str]], Found]:
    """Of every query its golds and what was ranked for it, the best first, and what to report beside."""
    if asked.arrays:
        queries, candidates, rows = _embedded(asked)
        found = top_k(queries, candidates, K)[1]
        golds = {str(query): sorted(map(str, gold)) for query, gold in enumerate(rows)}
        return golds, {str(q): list(map(str, row)) for q, row in enumerate(found.tolist())}, {"count": len(golds)}
    golds, said = inputs.ranked(asked.references), inputs.ranked(asked.file)
    if not golds:
        raise DataError(asked.references, "has no query")
    for name, gold in golds.items():
        if not gold:
            raise DataError(asked.references, f"query {name!r} has no gold candidate")
    missing, unknown = len(golds.keys() - said.keys()), len(said.keys() - golds.keys())
    return golds, said, {"count": len(golds), "missing": missing, "unknown": unknown}


def _embedded(asked: Asked, every: bool = True) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Queries, candidates and each query's gold rows; with `every`, a query without one is refused."""
    if len(asked.predictions) != 2:
        raise UserError("embeddings come as two files: --predictions QUERIES.npy CANDIDATES.npy")
    queries, candidates = map(inputs.embeddings, asked.predictions)
    if queries.shape[1] != candidates.shape[1]:
        reason = f"has vectors of {candidates.shape[1]} numbers, and {asked.predictions[0]} of {queries.shape[1]}"
        raise DataError(asked.predictions[1], reason)
    golds = inputs.gold_rows(asked.references, len(queries), len(candidates))
    bare = [row for row, gold in enumerate(golds) if not gold]
    if every and bare:
        raise DataError(asked.references, f"query row {bare[0]} (from 0) has no gold candidate")
    return queries, candidates, golds
