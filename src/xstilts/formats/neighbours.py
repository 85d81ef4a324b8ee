"""Nearest neighbours on torch's default device: where an evaluation decodes, that is the device it computes on.

On a CPU they are those of `xstilts.scoring.ranking`. On a GPU products and the choice among them stay there: 400,000 by
400,000 sentences, as BUCC has them, would be an hour of a CPU's. What is found is the same but for the last digits of
products: of equal similarities the earlier candidate comes first on both, and nothing is approximate.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from xstilts.scoring import ranking
from xstilts.scoring.ranking import Found

QUERIES, CANDIDATES = 1024, 16384  # a block of similarities is 64 MiB, and 0.6 GiB with all that is made of it
KEPT = 2**18  # candidates on the device at once: 1 GiB of a thousand numbers each
LAST = 2**32 - 1  # the largest position that a key can have


def top_k(queries: np.ndarray, candidates: np.ndarray, k: int) -> Found:
    """As `ranking.top_k`."""
    device = torch.get_default_device()
    if device.type == "cpu":
        return ranking.top_k(queries, candidates, k)
    return _top_k(queries, candidates, k, device)


def mine(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `ranking.mine`."""
    device = torch.get_default_device()
    search = ranking.top_k_both_ways if device.type == "cpu" else partial(_top_k_both_ways, device=device)
    return ranking.mine(source, target, search=search)


def _top_k(queries: np.ndarray, candidates: np.ndarray, k: int, device: torch.device) -> Found:
    best = Best(len(queries), min(k, len(candidates)), device)
    for row, column, similarities in _products(queries, candidates, device):
        best.add(row, column, similarities)
    return best.found()


def _top_k_both_ways(source: np.ndarray, target: np.ndarray, k: int, device: torch.device) -> tuple[Found, Found]:
    forward = Best(len(source), min(k, len(target)), device)
    backward = Best(len(target), min(k, len(source)), device)
    for row, column, similarities in _products(source, target, device):
        forward.add(row, column, similarities)
        backward.add(column, row, similarities.T)
    return forward.found(), backward.found()


def _products(
    queries: np.ndarray, candidates: np.ndarray, device: torch.device
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Blocks of similarities, and where their first row and column stand."""
    for start in range(0, len(candidates), KEPT):
        kept = torch.from_numpy(candidates[start : start + KEPT]).to(device)
        for row in range(0, len(queries), QUERIES):
            asking = torch.from_numpy(queries[row : row + QUERIES]).to(device)
            for place, block in enumerate(kept.split(CANDIDATES)):
                yield row, start + place * CANDIDATES, asking @ block.T


class Best:
    """The best candidates of every query so far, as keys: whole numbers that fall as candidates get worse.

    The upper half of a key is the similarity, the lower half falls with the position. So no two are equal, the largest
    of a row are the same ones in whatever order they are found, and they come in the order that is wanted.
    """

    def __init__(self, queries: int, k: int, device: torch.device) -> None:
        self.keys = torch.full((queries, k), torch.iinfo(torch.int64).min, dtype=torch.int64, device=device)

    def add(self, query: int, candidate: int, similarities: torch.Tensor) -> None:
        """Those [R, C] of the queries from `query` on with the candidates from `candidate` on."""
        rows, columns = similarities.shape
        best = self.keys[query : query + rows]
        rising = _turned((similarities + 0.0).view(torch.int32))  # -0.0 is 0.0
        places = torch.arange(candidate, candidate + columns, device=best.device)
        keys = (rising.long() << 32) + (LAST - places)
        new = keys.topk(min(best.shape[1], columns)).values
        best.copy_(torch.cat([best, new], dim=1).topk(best.shape[1]).values)

    def found(self) -> Found:
        keys = self.keys.cpu()
        similarities = _turned((keys >> 32).int()).view(torch.float32)
        return similarities.numpy(), (LAST - (keys & LAST)).numpy()


def _turned(bits: torch.Tensor) -> torch.Tensor:
    """Of the bits of floats, int32, whole numbers in the floats' order; and of those the bits again."""
    return bits ^ (bits >> 31 & 0x7FFFFFFF)
