"""Pairs of texts: inference (mnli and xnli, snli without names, anli with several changes), paraphrase (pawsx) and
equal questions (qqp)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event, Name, Thing, restated
from xstilts.data.toy.grammar import asking, text
from xstilts.data.toy.lexicon import ADJECTIVES, CLASS, COLOURS, DAYS, NOUNS, OPPOSITE, PLAIN
from xstilts.data.toy.logic import CONTRADICTION, ENTAILMENT, EQUAL, NEUTRAL, compare, relation
from xstilts.data.toy.scenes import PERSONS, SCENES, Scene, action, someone, thing, where
from xstilts.data.toy.stories import answerable
from xstilts.data.toy.tasks.part import Part


class Pair(NamedTuple):
    first: Event
    second: Event
    label: str


def items(part: Part) -> list[Pair]:
    """As many pairs of every label, as far as the count allows."""
    dice, labels = part.dice(), part.task.labels
    pairs: list[Pair] = []
    for number, label in enumerate(labels):
        count = (part.count + number) // len(labels)
        draw = partial(_pair, part.task.name, dice, label, labels)
        pairs += part.distinct(draw, lambda pair: text(pair.first), count)
    return dice.shuffled(pairs)


def row(pair: Pair, part: Part) -> dict[str, Any]:
    return {
        "text_a": text(pair.first, part.language),
        "text_b": text(pair.second, part.language),
        "label": pair.label,
    }


def _pair(task: str, dice: Dice, label: str, labels: list[str]) -> Pair | None:
    if ENTAILMENT in labels:
        return inference(dice, label, names=task != "snli", changes=3 if task == "anli" else 1)
    same = label == labels[1]
    found = questions(dice, same) if task == "qqp" else paraphrase(dice, same)
    return found and Pair(*found, label)


# inference ------------------------------------------------------------------------------------------------------


def inference(dice: Dice, label: str, names: bool, changes: int) -> Pair | None:
    """A premise and a hypothesis of that label; None where these changes do not give it.

    The changes try for the label, and what the pair means decides whether they got there.
    """
    scene = dice.pick(SCENES)
    premise = action(dice, scene, names)
    hypothesis = premise
    for _ in range(1 + dice.below(changes)):
        attempt = dice.pick(_ATTEMPTS[label] if changes == 1 else sum(_ATTEMPTS.values(), ()))
        hypothesis = attempt(dice, scene, hypothesis)
    if dice.chance(0.5):
        hypothesis = narrowed_down(dice, scene, hypothesis)
    hypothesis = restated(dice, hypothesis, 0.35)
    if hypothesis == premise or relation(premise, hypothesis) != label:
        return None
    return Pair(premise, hypothesis, label)


def narrowed_down(dice: Dice, scene: Scene, event: Event) -> Event:
    """Without one of its circumstances."""
    choices = [replace(event, time=None)] * bool(event.time)
    choices += [replace(event, preposition=None, place=None)] * bool(event.place)
    if isinstance(event.patient, Thing) and event.patient.adjective:
        choices.append(replace(event, patient=replace(event.patient, adjective=None)))
    return dice.pick(choices) if choices else event


def widened(dice: Dice, scene: Scene, event: Event) -> Event:
    """With the noun's class in its place."""
    if isinstance(event.patient, Thing) and PLAIN.get(event.patient.noun, event.patient.noun) in CLASS:
        noun = CLASS[PLAIN.get(event.patient.noun, event.patient.noun)]
        return replace(event, patient=replace(event.patient, noun=noun, adjective=None))
    return event


def reworded(dice: Dice, scene: Scene, event: Event) -> Event:
    return restated(dice, event, 0.8)


def negated(dice: Dice, scene: Scene, event: Event) -> Event:
    return replace(event, negated=not event.negated, auxiliary=event.auxiliary or "did")


def opposed(dice: Dice, scene: Scene, event: Event) -> Event:
    """With the opposite quality or another colour."""
    if not isinstance(event.patient, Thing) or not event.patient.adjective:
        return event
    word = PLAIN.get(event.patient.adjective, event.patient.adjective)
    other = OPPOSITE.get(word) or dice.pick([c for c in COLOURS if c != word])
    return replace(event, patient=replace(event.patient, adjective=other))


def another_day(dice: Dice, scene: Scene, event: Event) -> Event:
    return replace(event, time=dice.pick([day for day in DAYS if day != event.time])) if event.time in DAYS else event


def another_agent(dice: Dice, scene: Scene, event: Event) -> Event:
    return replace(event, agent=someone(dice, scene, isinstance(event.agent, Name)))


def another_patient(dice: Dice, scene: Scene, event: Event) -> Event:
    """With another noun of the same class."""
    if not isinstance(event.patient, Thing) or event.patient.noun not in CLASS:
        return event
    kind = CLASS[event.patient.noun]
    return replace(event, patient=replace(event.patient, noun=dice.pick([n for n in NOUNS if CLASS[n] == kind])))


def elaborated(dice: Dice, scene: Scene, event: Event) -> Event:
    """With a circumstance that the other does not give."""
    if event.place is None:
        preposition, place = where(dice, scene, isinstance(event.agent, Name))
        return replace(event, preposition=preposition, place=place)
    if isinstance(event.patient, Thing) and not event.patient.adjective:
        return replace(event, patient=replace(event.patient, adjective=dice.pick(ADJECTIVES)))
    return replace(event, time=dice.pick(DAYS)) if event.time is None else event


_ATTEMPTS = {
    ENTAILMENT: (narrowed_down, widened, reworded),
    NEUTRAL: (another_agent, another_patient, elaborated),
    CONTRADICTION: (negated, opposed, another_day),
}

# paraphrase -----------------------------------------------------------------------------------------------------


def paraphrase(dice: Dice, same: bool) -> tuple[Event, Event] | None:
    """Two clauses of nearly the same words: the same in other words, or two names exchanged or a noun."""
    scene = dice.pick(SCENES)
    giver, getter = dice.sample([person.name for person in PERSONS], 2)
    noun = dice.pick([n for n in scene.nouns if CLASS[n] in {"thing", "food", "animal"}])
    first = replace(action(dice, scene), verb="give", agent=giver, patient=thing(dice, noun, scene), recipient=getter)
    second = first
    if not same:
        swapped = replace(first, agent=getter, recipient=giver)
        second = dice.pick((swapped, another_patient(dice, scene, first), opposed(dice, scene, first)))
    second = restated(dice, second, 0.7)
    return (first, second) if first != second and (compare(first, second) == EQUAL) == same else None


def questions(dice: Dice, same: bool) -> tuple[Event, Event] | None:
    """Two questions about one event that ask the same in other words, or about another part or another event."""
    scene = dice.pick(SCENES)
    event = action(dice, scene)
    role = dice.pick(answerable(event))
    other, also = event, role
    if not same:
        change = dice.pick((another_agent, another_patient, opposed, negated, None))
        if change:
            other = change(dice, scene, event)
        else:
            also = dice.pick(answerable(event))
    first, second = asking(event, role), asking(restated(dice, other, 0.7), also)
    equal = role == also and compare(first, second) == EQUAL and first.negated == second.negated
    return (first, second) if first != second and equal == same else None
