"""A cell: one (model, inter, regime, target, recipe, seed), resolved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xstilts.config import Inter, Model, Recipe, Regime, Target, World, typed
from xstilts.errors import UserError
from xstilts.sweep.grid import Choice

#: Keys of a world that say where things lie, and nothing of what they are.
FOLDERS = ("root", "translations", "tokenizer", "mirror")


@dataclass(frozen=True, eq=False)
class Cell:
    """One row of choices of a sweep, resolved."""

    choices: dict[str, Choice]
    model: Model
    seed: int
    overrides: tuple[str, ...]

    @cached_property
    def names(self) -> dict[str, Any]:
        """What identifies the cell in tables."""
        labels = {group: self.choices[group].label for group in ("model", "inter", "regime", "target", "recipe")}
        return {**labels, "seed": self.seed}

    @property
    def place(self) -> str:
        """The world's name in tables: the same wherever its folders lie, so that sweeps of several folders compare."""
        choice = self.choices["world"]
        return choice.without(FOLDERS if self.world.kind == "toy" else (*FOLDERS, "weights"))

    @property
    def inter(self) -> Inter:
        return self.choices["inter"].object

    @property
    def regime(self) -> Regime:
        return self.choices["regime"].object

    @property
    def target(self) -> Target:
        return self.choices["target"].object

    @property
    def recipe(self) -> Recipe:
        return self.choices["recipe"].object

    @property
    def world(self) -> World:
        return self.choices["world"].object

    @property
    def same_task(self) -> bool:
        """Whether the intermediate task trains on the target's own training data."""
        return self.choices["inter"].name in self.target.same_task


def resolve(model: Choice, world: Choice) -> Model:
    """A model in a world: the toy world has sizes of its own in the place of the real ones."""
    if world.object.kind != "toy":
        return model.object
    from xstilts.data.toy.models import settings

    if model.values:
        raise UserError(f"model={model.label}: the toy world has models of its own, and no key of theirs can be set")
    return typed("model", {**model.raw, **settings(model.name, world.object.weights)}, model.label)
