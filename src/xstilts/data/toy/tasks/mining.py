"""Two pools of sentences, some of which are translations of each other (bucc)."""

from __future__ import annotations

from typing import Any, NamedTuple

from xstilts.data.toy.events import Event
from xstilts.data.toy.grammar import text
from xstilts.data.toy.tasks.nearest import sentence
from xstilts.data.toy.tasks.part import Part

PAIRED = 0.4  # of the sentences of a side


class Sentence(NamedTuple):
    number: int
    side: str
    event: Event
    paired: bool


def items(part: Part) -> list[Sentence]:
    """Both sides of the pools, in random order; `count` is the size of one side."""
    dice, pairs = part.dice(), round(PAIRED * part.count)
    events = list(part.distinct(lambda: sentence(dice), text, 2 * part.count - pairs))
    sides = {"source": events[: part.count], "target": events[:pairs] + events[part.count :]}
    return dice.shuffled(
        [Sentence(n, side, event, n < pairs) for side, said in sides.items() for n, event in enumerate(said)]
    )


def row(item: Sentence, part: Part) -> dict[str, Any]:
    other = "target" if item.side == "source" else "source"
    return {
        "id": f"{item.side}-{item.number}",
        "side": item.side,
        "text": text(item.event, part.language) if item.side == "source" else text(item.event),
        "pair": f"{other}-{item.number}" if item.paired else None,
    }
