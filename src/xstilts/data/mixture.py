"""Which units meet in which step: a pure function of the seed and the step.

Nothing has to be saved to resume, and nothing that happens in between (an evaluation, a crash) can shift the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from xstilts.errors import UserError, choices


def weights(sizes: Sequence[int], recipe: Mapping[str, Any]) -> np.ndarray:
    """The share of steps of each entry, float64, summing to 1, from the number of its units.

    `proportional`: to its units; `temperature`: to min(units, cap)^(1/temperature), as multilingual models sample
    languages; `uniform`: the same for all. `cap` is optional.
    """
    counts = np.asarray(sizes, dtype=np.float64)
    sampler = recipe["sampler"]
    if sampler == "uniform":
        values = np.ones_like(counts)
    elif sampler == "temperature":
        cap = recipe.get("cap")
        values = np.minimum(counts, math.inf if cap is None else cap) ** (1 / recipe["temperature"])
    elif sampler == "proportional":
        values = counts
    else:
        raise UserError(f"no sampler {sampler!r}; {choices(sampler, ['proportional', 'temperature', 'uniform'])}")
    return values / values.sum()


def shares(sizes: Sequence[int], rates: Sequence[float | None], recipe: Mapping[str, Any]) -> np.ndarray:
    """As `weights`, where entries with a rate have that fixed share and the others divide the rest."""
    fixed = np.array([rate is not None for rate in rates])
    given = np.array([rate or 0.0 for rate in rates])
    if fixed.all() and not math.isclose(given.sum(), 1):
        raise UserError(f"the rates of a mixture with nothing but fixed ones are {given.tolist()}; they must sum to 1")
    if not fixed.all():
        if given.sum() >= 1:
            raise UserError(f"the fixed rates of a mixture sum to {given.sum():g}, which leaves nothing for the others")
        free = weights([size for size, rate in zip(sizes, rates, strict=True) if rate is None], recipe)
        given[~fixed] = free * (1 - given.sum())
    return given


@dataclass(frozen=True)
class Mixture:
    """A schedule of steps, each of one entry; every entry is an endless stream of shuffled epochs."""

    sizes: Sequence[int]  # units of each entry
    batch_size: int  # units a step
    seed: int
    epoch: int  # steps in which the entries without a fixed rate are seen once
    turns: np.ndarray  # int64 [steps], the entry of each step
    draws: np.ndarray  # int64 [steps], how often that entry had its turn before
    lengths: Sequence[np.ndarray]  # tokens of each unit of each entry
    bucket: int | None  # steps of an entry whose units are exchanged until each has units of similar length

    @classmethod
    def plan(
        cls, lengths: Sequence[np.ndarray], rates: Sequence[float | None], recipe: Mapping[str, Any], seed: int
    ) -> Mixture:
        """The steps of a recipe: `steps` of them, or `epochs` over the entries without a fixed rate.

        Entries with a fixed rate come on top, so that the others see their epochs. Every entry has its share of the
        steps, exact to one step; only the order of the turns is random. `lengths`: tokens of each unit, an array an
        entry.
        """
        sizes = [len(own) for own in lengths]
        if (recipe["epochs"] is None) == (recipe["steps"] is None):
            raise UserError("a recipe has either epochs or steps; set the other one to null")
        share = shares(sizes, rates, recipe)
        free = [i for i, rate in enumerate(rates) if rate is None] or list(range(len(sizes)))
        epoch = sum(sizes[i] for i in free) / recipe["batch_size"] / share[free].sum()
        # An epoch of a whole number of steps may come out a rounding error longer.
        steps = recipe["steps"] or max(1, math.ceil(recipe["epochs"] * epoch - 1e-9))
        bounds = np.cumsum(share)
        bounds[-1] = 1.0
        turns = np.searchsorted(bounds, (np.arange(steps) + 0.5) / steps)
        turns = np.random.default_rng([seed, _TURNS]).permutation(turns)
        draws = np.zeros(steps, dtype=np.int64)
        for entry in range(len(sizes)):
            mine = turns == entry
            draws[mine] = np.arange(mine.sum())
        bucket = recipe.get("bucket")
        return cls(tuple(sizes), recipe["batch_size"], seed, max(1, round(epoch)), turns, draws, lengths, bucket)

    @property
    def steps(self) -> int:
        return len(self.turns)

    @cached_property
    def turned(self) -> list[int]:
        """How many turns every entry has."""
        counts: list[int] = np.bincount(self.turns, minlength=len(self.sizes)).tolist()
        return counts

    def batch(self, step: int) -> tuple[int, np.ndarray]:
        """The entry of a step, counted from 0, and the units of it, int64 [batch_size].

        A unit is seen once an epoch; a batch that reaches over the end of one takes the rest from the next.
        """
        entry, draw = int(self.turns[step]), int(self.draws[step])
        first, last = self._group(entry, draw)
        if last - first == 1:
            return entry, self._stream(entry, draw, 1)
        units = self._stream(entry, first, last - first)
        grouped = units[np.argsort(self.lengths[entry][units], kind="stable")].reshape(-1, self.batch_size)
        order = np.random.default_rng([self.seed, _BUCKET, entry, first]).permutation(len(grouped))
        return entry, grouped[order[draw - first]]

    def _group(self, entry: int, draw: int) -> tuple[int, int]:
        """The draws, from the first to before the last, among which a draw's units are exchanged: of one epoch only.

        So no unit meets itself, and the last group, however short, has all of its draws. Alone where none are, and
        where a batch reaches over the end of an epoch.
        """
        size, (begin, end) = self.sizes[entry], (draw * self.batch_size, (draw + 1) * self.batch_size)
        epoch = begin // size
        if self.bucket is None or end > (epoch + 1) * size:
            return draw, draw + 1
        first = -(-epoch * size // self.batch_size)
        first += (draw - first) // self.bucket * self.bucket
        whole = (epoch + 1) * size // self.batch_size  # draws that end within this epoch
        return first, min(first + self.bucket, whole, self.turned[entry])

    def _stream(self, entry: int, draw: int, draws: int) -> np.ndarray:
        """The units of so many draws of an entry, int64 [draws * batch_size]: shuffled epochs, end to end."""
        first = draw * self.batch_size
        epochs, places = np.divmod(np.arange(first, first + draws * self.batch_size), self.sizes[entry])
        orders = {epoch: _permutation(self.sizes[entry], self.seed, entry, epoch) for epoch in set(epochs.tolist())}
        return np.array([orders[e][p] for e, p in zip(epochs.tolist(), places, strict=True)], dtype=np.int64)

    def noise(self, step: int) -> np.random.Generator:
        """For what training does to the batch of a step, such as masking."""
        return np.random.default_rng([self.seed, _NOISE, step])

    def dropout_seed(self, step: int, rank: int = 0) -> int:
        """For torch's generators. With one a step and rank, no state of them is needed to resume."""
        stream = [self.seed, _DROPOUT, step, *([rank] if rank else [])]
        return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0])


# Streams of random numbers that share a seed and nothing else.
_TURNS, _ORDER, _NOISE, _DROPOUT, _BUCKET = range(5)


@lru_cache(maxsize=32)
def _permutation(size: int, seed: int, entry: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, _ORDER, entry, epoch]).permutation(size)
