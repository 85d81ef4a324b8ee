"""Sentences and their English translations (tatoeba). No names: nothing but meaning leads from one to the other."""

from __future__ import annotations

from typing import Any

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event
from xstilts.data.toy.grammar import text
from xstilts.data.toy.scenes import SCENES, act, action, quality
from xstilts.data.toy.tasks.part import Part


def sentence(dice: Dice) -> Event:
    """A clause without a name in it."""
    scene, draw = dice.pick(SCENES), dice.below(10)
    return quality(dice, scene) if draw == 0 else act(dice, scene, False) if draw < 3 else action(dice, scene, False)


def items(part: Part) -> list[Event]:
    dice = part.dice()
    return list(part.distinct(lambda: sentence(dice), text))


def row(event: Event, part: Part) -> dict[str, Any]:
    return {"source": text(event, part.language), "target": text(event)}
