"""What is asked of a generator: one part of a task, and the draws that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.languages import BY_CODE, Language
from xstilts.task import Task

Item = TypeVar("Item")
#: twentieths of all that can be said that a split may say: no split ever says what another does, in any task
SHARES = {"train": range(0, 14), "test": range(14, 17), "dev": range(17, 19), "selection": range(19, 20)}


#: tasks whose languages have texts of their own; in all others row i is the same item in every language
INDEPENDENT = {"udpos", "udpos_v25", "panx", "tydiqa", "mewslix", "bucc", "mlm_multilingual"}


@dataclass(frozen=True)
class Part:
    """A part of a task in the toy world."""

    task: Task
    code: str  # of a language, or "all"
    split: str
    count: int  # items
    seed: int

    @property
    def language(self) -> Language:
        return BY_CODE[self.code]

    @property
    def independent(self) -> bool:
        return self.task.name in INDEPENDENT and self.split not in {"train", "selection"}

    def dice(self, *name: object) -> Dice:
        """Draws of this task and split, and of this language only where languages have texts of their own."""
        return Dice(self.seed, self.task.name, self.split, *([self.code] if self.independent else []), *name)

    def may_say(self, text: str) -> bool:
        """Whether this English text is this split's and no other's."""
        return crc32(text.encode()) % 20 in SHARES.get(self.split, range(20))

    def distinct(
        self, draw: Callable[[], Item | None], key: Callable[[Item], str], count: int | None = None
    ) -> Iterator[Item]:
        """`count` items (those of the part where not given) of different keys, none of which another split may have.

        `draw` gives None where it cannot. `key` is the English text that tells items apart.
        """
        count, found = self.count if count is None else count, set[str]()
        for _ in range(2000 * count):
            if len(found) == count:
                return
            item = draw()
            name = key(item) if item is not None else ""
            if item is not None and name not in found and self.may_say(name):
                found.add(name)
                yield item
        if len(found) < count:
            raise ValueError(f"the toy world has only {len(found)} different items for {self.task.name} {self.split}")
