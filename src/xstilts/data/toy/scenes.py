"""What happens in the toy world: people and what is true of them, scenes, and the events of a scene.

Nothing here is in any language. Knowledge sits in skewed choices (a scene's own words, a noun's usual places and
qualities), so that a corpus drawn from it carries the knowledge, in every language alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event, Name, Phrase, Quality, Thing
from xstilts.data.toy.lexicon import (
    ADJECTIVES,
    CLASS,
    CLASSES,
    COMPANIES,
    FIRMS,
    INTRANSITIVE,
    NOUNS,
    NUMBERS,
    OBJECTS,
    PEOPLE,
    PREPOSITIONS,
    TIMES,
    TOWNS,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Person:
    """What is always true of someone."""

    name: Name
    home: Name
    firm: Name
    job: str
    food: str
    pet: str


@dataclass(frozen=True)
class Scene:
    """A handful of words that go together: what a document is about."""

    people: list[Person]
    towns: list[Name]
    nouns: list[str]
    places: list[str]
    roles: list[str]
    verbs: list[str]
    acts: list[str]
    adjectives: list[str]


def person(name: str, *key: object) -> Person:
    """Somebody of that name; `key` tells namesakes apart."""
    dice = Dice("person", name, *key)
    return Person(
        name=Name(name, "PER"),
        home=Name(dice.pick(TOWNS), "LOC"),
        firm=Name(dice.pick(COMPANIES), "ORG", dice.pick(FIRMS)),
        job=dice.pick(CLASSES["person"]),
        food=dice.pick(CLASSES["food"]),
        pet=dice.pick(CLASSES["animal"]),
    )


PERSONS = [person(name) for name in PEOPLE]
#: where a noun is usually found, the likeliest first, and what it is usually like
PLACES_OF = {noun: Dice("places", noun).sample(CLASSES["place"], 3) for noun in NOUNS}
QUALITIES_OF = {noun: Dice("qualities", noun).sample(ADJECTIVES, 4) for noun in NOUNS}


def _scene(number: int) -> Scene:
    dice = Dice("scene", number)
    nouns = [n for kind, count in _MIX.items() for n in _dealt(CLASSES[kind], kind, number, count)]
    return Scene(
        people=[PERSONS[i] for i in _dealt(range(len(PERSONS)), "people", number, 6)],
        towns=[Name(town, "LOC") for town in dice.sample(TOWNS, 4)],
        nouns=nouns,
        places=[n for n in nouns if CLASS[n] == "place"],
        roles=[n for n in nouns if CLASS[n] == "person"],
        verbs=[v for v in _dealt(list(OBJECTS), "verbs", number, 8) if any(CLASS[n] in OBJECTS[v] for n in nouns)],
        acts=_dealt(INTRANSITIVE, "acts", number, 3),
        adjectives=_dealt(ADJECTIVES, "adjectives", number, 5),
    )


def _dealt(words: Sequence[T], pack: str, hand: int, size: int) -> list[T]:
    """The `hand`-th hand of `size` different words, dealt so that every word comes up about equally often."""
    dice = Dice("dealt", pack)
    pile, out = list[T](), list[T]()
    for _ in range(hand + 1):
        out = []
        while len(out) < size:
            pile = pile or dice.shuffled(words)
            fresh = next((w for w in pile if w not in out), None)
            if fresh is None:
                pile = []
                continue
            pile.remove(fresh)
            out.append(fresh)
    return out


_MIX = {"animal": 2, "food": 2, "thing": 3, "vehicle": 1, "person": 2, "place": 2}
SCENES = [_scene(number) for number in range(12)]
LOYALTY = 0.85  # how often a scene keeps to its own words


def thing(dice: Dice, noun: str, scene: Scene, adjective: float = 0.45) -> Thing:
    """A noun with a determiner or a number, and with that probability an adjective."""
    quality = None
    if dice.chance(adjective):
        quality = dice.favour(scene.adjectives) if dice.chance(0.4) else dice.favour(QUALITIES_OF[noun])
    if dice.chance(0.12):
        return Thing(noun, None, quality, dice.pick(NUMBERS))
    return Thing(noun, dice.pick(("the", "the", "a", "a", "some", "every")), quality)


def someone(dice: Dice, scene: Scene, names: bool) -> Phrase:
    """Who does it: a person of the scene by name, or someone by what they are."""
    if names and dice.chance(0.65):
        return (dice.pick(scene.people) if dice.chance(LOYALTY) else dice.pick(PERSONS)).name
    return thing(dice, dice.pick(scene.roles) if dice.chance(LOYALTY) else dice.pick(CLASSES["person"]), scene, 0.3)


def where(dice: Dice, scene: Scene, names: bool, noun: str | None = None) -> tuple[str, Phrase]:
    if names and dice.chance(0.35):
        return "in", dice.pick(scene.towns)
    usual = PLACES_OF[noun] if noun and dice.chance(0.6) else scene.places
    return dice.pick(PREPOSITIONS), Thing(dice.favour(usual))


def action(dice: Dice, scene: Scene, names: bool = True) -> Event:
    """Somebody does something to something, somewhere or some time."""
    verb = dice.pick(scene.verbs) if dice.chance(LOYALTY) else dice.pick(list(OBJECTS))
    own = [noun for noun in scene.nouns if CLASS[noun] in OBJECTS[verb]]
    fitting = own if own and dice.chance(LOYALTY) else [n for n in NOUNS if CLASS[n] in OBJECTS[verb]]
    noun = dice.pick(fitting)
    event = Event(verb, someone(dice, scene, names), thing(dice, noun, scene))
    if names and dice.chance(0.1):
        gift = dice.pick([n for n in scene.nouns if CLASS[n] in {"thing", "food"}])
        recipient = dice.pick([person.name for person in scene.people if person.name != event.agent])
        event = replace(event, verb="give", patient=thing(dice, gift, scene), recipient=recipient)
    return _circumstances(dice, event, scene, names)


def act(dice: Dice, scene: Scene, names: bool = True) -> Event:
    """Somebody does something that has no object."""
    verb = dice.pick(scene.acts) if dice.chance(LOYALTY) else dice.pick(INTRANSITIVE)
    return _circumstances(dice, Event(verb, someone(dice, scene, names)), scene, names)


def _circumstances(dice: Dice, event: Event, scene: Scene, names: bool) -> Event:
    """When, where and whether."""
    if dice.chance(0.5):
        noun = event.patient.noun if isinstance(event.patient, Thing) else None
        preposition, place = where(dice, scene, names, noun)
        event = replace(event, preposition=preposition, place=place)
    if dice.chance(0.35):
        event = replace(event, time=dice.pick(TIMES))
    negated = dice.chance(0.1)
    auxiliary = dice.pick(("did", "will")) if negated or dice.chance(0.4) else None
    return replace(event, negated=negated, auxiliary=auxiliary)


def quality(dice: Dice, scene: Scene) -> Event:
    """Something is as it usually is."""
    noun = dice.pick(scene.nouns)
    return Event("is", Thing(noun), Quality(dice.favour(QUALITIES_OF[noun])))


def facts(person: Person) -> list[Event]:
    """All that is always true of someone."""
    return [
        Event("live", person.name, preposition="in", place=person.home),
        Event("work", person.name, preposition="for", place=person.firm),
        Event("is", person.name, Thing(person.job, "a")),
        Event("like", person.name, Thing(person.food, None)),
        Event("feed", person.name, Thing(person.pet)),
    ]
