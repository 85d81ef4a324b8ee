"""Which of several texts is right? All ask for what follows from what, but csqa, which asks for what things are like.

copa, xcopa   a clause, and which of two is its cause or its effect
siqa          two clauses, and what follows, of three
cosmosqa      three clauses, and why one of them happened, of four
hellaswag     two clauses, and how it goes on, of four
csqa          no text: where something usually is or what it is, of five
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event, Thing
from xstilts.data.toy.grammar import asking, phrased, text
from xstilts.data.toy.languages import SOURCE, Language
from xstilts.data.toy.lexicon import CLASS, CLASSES, NOUNS, forms
from xstilts.data.toy.scenes import PLACES_OF, SCENES, someone
from xstilts.data.toy.stories import CHAINS, chain, event
from xstilts.data.toy.tasks.part import Part


class Choice(NamedTuple):
    context: list[Event]
    question: Event | str  # a clause, or a word of it, or nothing
    choices: list[Event] | list[Thing]
    label: int


#: clauses told, and choices
SHAPES = {"copa": (1, 2), "xcopa": (1, 2), "siqa": (2, 3), "cosmosqa": (3, 4), "hellaswag": (2, 4)}


def items(part: Part) -> list[Choice]:
    dice, task = part.dice(), part.task.name
    return list(part.distinct(lambda: usual(dice) if task == "csqa" else consequence(dice, task), key))


def key(item: Choice) -> str:
    return f"{text(item.context)} {written(item.question)} {' / '.join(map(written, item.choices))}"


def row(item: Choice, part: Part) -> dict[str, Any]:
    return {
        "context": text(item.context, part.language),
        "question": written(item.question, part.language),
        "choices": [written(choice, part.language) for choice in item.choices],
        "label": item.label,
    }


def written(what: Event | Thing | str, language: Language = SOURCE) -> str:
    if isinstance(what, Event):
        return text(what, language)
    return phrased(what, language) if isinstance(what, Thing) else forms(language.code).get(what, what)


def consequence(dice: Dice, task: str) -> Choice:
    """Something happened: which of these came of it, or brought it about?"""
    clauses, count = SHAPES.get(task, (2, 4))
    scene = dice.pick(SCENES)
    numbers = dice.sample(range(len(CHAINS)), count)
    right, who = numbers[0], someone(dice, scene, names=True)
    order = dice.shuffled(numbers)
    ends = {number: chain(dice, number, scene, who) for number in order}
    backwards = task == "cosmosqa" or (task in {"copa", "xcopa"} and dice.chance(0.5))
    said = ends[right][backwards]
    choices = [ends[number][not backwards] for number in order]
    question: Event | str = "because" if backwards else "so"
    if task == "hellaswag":
        question, choices = "", [replace(choice, link="so") for choice in choices]
    if task == "cosmosqa":
        question, choices = replace(said, link="why", question=True), [replace(c, link="because") for c in choices]
    context = [*(event(dice, scene) for _ in range(clauses - 1)), said]
    return Choice(context, question, choices, order.index(right))


def usual(dice: Dice) -> Choice:
    """Where something usually is, or what it is."""
    noun = dice.pick(NOUNS)
    if dice.chance(0.5):
        question: Event = replace(asking(Event("is", Thing(noun)), "place"), question=True)
        right, wrong = dice.pick(PLACES_OF[noun]), [p for p in CLASSES["place"] if p not in PLACES_OF[noun]]
    else:
        question = asking(Event("is", Thing(noun), Thing(noun)), "patient")
        right, wrong = CLASS[noun], [kind for kind in CLASSES if kind != CLASS[noun]]
    words = dice.shuffled([right, *dice.sample(wrong, 4)])
    return Choice([], question, [Thing(word) for word in words], words.index(right))
