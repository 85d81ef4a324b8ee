"""Draws that come out the same on every machine and in every version of Python.

Of `random.Random`, only seeding by a string and `random()` are promised to stay as they are, so only these are used.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of draws that is a pure function of the words it is named by."""

    def __init__(self, *name: object) -> None:
        self._uniform = random.Random("/".join(map(str, name))).random

    def chance(self, probability: float) -> bool:
        return self._uniform() < probability

    def below(self, bound: int) -> int:
        """0 to bound - 1, all alike."""
        return int(self._uniform() * bound)

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def favour(self, options: Sequence[T]) -> T:
        """Earlier options more often, as with the square of a uniform draw."""
        return options[int(self._uniform() ** 2 * len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        rest, out = list(options), []
        while rest:
            out.append(rest.pop(self.below(len(rest))))
        return out

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different ones, in random order."""
        return self.shuffled(options)[:count]
