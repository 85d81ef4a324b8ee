"""Documents: what follows from what, and how people tell it, ask about it and say it again."""

from __future__ import annotations

from dataclasses import replace

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event, Name, Phrase, Quality, Thing, restated
from xstilts.data.toy.grammar import asking
from xstilts.data.toy.lexicon import CLASS, CLASSES, OPPOSITE
from xstilts.data.toy.scenes import PERSONS, SCENES, Scene, act, action, facts, quality, someone, thing

#: cause and effect: a verb and its object, where a class stands for any noun of it and the same class for the same noun
CHAINS = (
    (("is", "hungry"), ("eat", "food")),
    (("is", "tired"), ("sleep", None)),
    (("is", "sick"), ("visit", "doctor")),
    (("is", "sad"), ("cry", None)),
    (("is", "happy"), ("sing", None)),
    (("is", "cold"), ("take", "coat")),
    (("is", "young"), ("visit", "school")),
    (("break", "thing"), ("fix", "thing")),
    (("buy", "animal"), ("feed", "animal")),
    (("buy", "food"), ("cook", "food")),
    (("want", "vehicle"), ("buy", "vehicle")),
    (("see", "bear"), ("run", None)),
    (("find", "key"), ("drive", "car")),
    (("sell", "vehicle"), ("walk", None)),
)
STATES = {"hungry", "tired", "sick", "sad", "happy", "cold", "young"}


def filled(pattern: tuple[str, str | None], who: Phrase, nouns: dict[str, Thing]) -> Event:
    """A step of a chain with its people and things in place."""
    verb, what = pattern
    if what is None:
        return Event(verb, who)
    return Event(verb, who, Quality(what) if what in STATES else nouns.get(what) or Thing(what, "a"))


def chain(dice: Dice, number: int, scene: Scene, who: Phrase) -> tuple[Event, Event]:
    """The cause and the effect of a chain, of somebody in a scene."""
    nouns = {kind: Thing(dice.pick([n for n in scene.nouns if CLASS[n] == kind])) for kind in CLASSES}
    cause, effect = CHAINS[number]
    return filled(cause, who, nouns), filled(effect, who, nouns)


def event(dice: Dice, scene: Scene, names: bool = True) -> Event:
    """Anything a text may say."""
    draw = dice.below(100)
    if names and draw < 20:
        person = dice.pick(scene.people) if dice.chance(0.85) else dice.pick(PERSONS)
        return dice.pick(facts(person))
    if draw < 32:
        return act(dice, scene, names)
    if draw < 44:
        return quality(dice, scene)
    return action(dice, scene, names)


def document(dice: Dice, names: bool = True) -> list[Event]:
    """One to three clauses of a scene, then often what follows, the same again, a question, or what it is not."""
    scene = dice.pick(SCENES)
    told = [event(dice, scene, names) for _ in range(dice.pick((1, 2, 2, 3)))]
    draw = dice.below(100)
    if draw < 20:
        return told[:1] + linked(dice, *chain(dice, dice.below(len(CHAINS)), scene, someone(dice, scene, names)))
    if draw < 50:
        return [*told, retold(dice, dice.pick(told))]
    if draw < 70:
        answer = dice.pick(told)
        return [*told, asking(answer, dice.pick(answerable(answer))), answer]
    if draw < 80:
        return [*told, *denied(dice, scene)]
    return told


def linked(dice: Dice, cause: Event, effect: Event) -> list[Event]:
    """A cause and its effect told in either order."""
    if dice.chance(0.5):
        return [cause, replace(effect, link="so")]
    return [effect, replace(cause, link="because")]


def retold(dice: Dice, told: Event) -> Event:
    """What a clause implies: other words, a wider noun, fewer circumstances."""
    again = restated(dice, told, 0.5)
    if dice.chance(0.3) and isinstance(told.patient, Thing) and told.patient.noun in CLASS and not told.negated:
        again = replace(again, patient=Thing(CLASS[told.patient.noun], told.patient.determiner or "some"))
    if dice.chance(0.3):
        again = replace(again, time=None)
    if dice.chance(0.3) and told.verb not in {"live", "work"}:
        again = replace(again, preposition=None, place=None)
    return again


def answerable(told: Event) -> list[str]:
    """The parts of an event that a question can be about."""
    roles = ["agent"]
    if isinstance(told.patient, Thing | Name):
        roles.append("patient")
    if told.place and told.verb != "work":
        roles.append("place")
    return roles


def denied(dice: Dice, scene: Scene) -> list[Event]:
    """Something is not this but the opposite."""
    what = thing(dice, dice.pick(scene.nouns), scene, 0)
    word = dice.pick(list(OPPOSITE))
    return [Event("is", what, Quality(word), negated=True), Event("is", what, Quality(OPPOSITE[word]))]
