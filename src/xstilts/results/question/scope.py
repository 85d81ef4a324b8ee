"""Which part of a table one answer is about: nothing is averaged over worlds, regimes or recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xstilts.errors import UserError, choices
from xstilts.results.question.changes import CONTROLS, NONE

FAIR = "matched"  # the recipe in which scales differ in nothing else


@dataclass(frozen=True)
class Scope:
    """One world, one way of feeding the intermediate phase, one recipe."""

    world: str
    regime: str
    recipe: str

    @classmethod
    def of(
        cls, frame: pd.DataFrame, world: str | None = None, regime: str = "english", recipe: str | None = None
    ) -> Scope:
        """What is not given: the only world, and the recipe `matched`, or else the one with the most cells.

        Raises `UserError` for a name that the table lacks, and where several worlds leave the choice open.
        """
        trained = frame[frame["inter"] != NONE]
        world = _only("world", frame, world)
        trained = trained[(trained["world"] == world) & (trained["regime"] == regime)]
        recipes = trained["recipe"].value_counts()
        if recipe is None:
            recipe = FAIR if FAIR in recipes.index or recipes.empty else str(recipes.index[0])
        elif recipe not in set(frame["recipe"]):
            raise UserError(f"no recipe={recipe} here; {choices(recipe, frame['recipe'].unique())}")
        return cls(world, regime, recipe)

    def cut(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table or of its changes that are about it, those of inter=none among them."""
        same = (frame["world"] == self.world) & (frame["recipe"] == self.recipe)
        return frame[same & ((frame["regime"] == self.regime) | frame["inter"].isin([NONE, *CONTROLS]))]

    def covers(self, cell: Mapping[str, Any]) -> bool:
        """Whether a sweep's cell is about it, as `cut` says of rows."""
        same = (cell["world"], cell["recipe"]) == (self.world, self.recipe)
        return same and (cell["regime"] == self.regime or cell["inter"] in {NONE, *CONTROLS})


def models(frame: pd.DataFrame) -> list[str]:
    """By size, the smallest first."""
    sizes = frame[["model", "parameters"]].drop_duplicates().sort_values(["parameters", "model"])
    return [str(name) for name in sizes["model"]]


def _only(what: str, frame: pd.DataFrame, name: str | None) -> str:
    names = sorted(frame[what].unique())
    if name is None and len(names) == 1:
        return str(names[0])
    if name not in names:
        raise UserError(f"which {what}? {choices(name or '', names)}")
    return str(name)
