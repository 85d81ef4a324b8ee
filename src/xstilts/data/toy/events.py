"""What a clause says, in no language: a verb and who, what, where and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.lexicon import SYNONYM


@dataclass(frozen=True)
class Name:
    form: str
    kind: str  # PER, LOC or ORG
    firm: str | None = None  # second word of an organisation's name


@dataclass(frozen=True)
class Thing:
    noun: str
    determiner: str | None = "the"
    adjective: str | None = None
    number: str | None = None


@dataclass(frozen=True)
class Quality:
    adjective: str


@dataclass(frozen=True)
class Asked:
    word: str  # who, what or where


Phrase = Name | Thing | Quality | Asked


@dataclass(frozen=True)
class Event:
    """One clause."""

    verb: str
    agent: Phrase
    patient: Phrase | None = None
    recipient: Name | None = None
    preposition: str | None = None  # None before a question word
    place: Phrase | None = None  # where, or for whom one works
    time: str | None = None
    auxiliary: str | None = None
    negated: bool = False
    link: str | None = None  # so, because: how it follows from the clause before
    question: bool = False


def restated(dice: Dice, event: Event, share: float) -> Event:
    """The same in other words: each word that has a synonym gives way to it with that probability."""

    def other(word: str) -> str:
        return SYNONYM[word] if word in SYNONYM and dice.chance(share) else word

    def phrase(part: Phrase | None) -> Phrase | None:
        if isinstance(part, Thing):
            return replace(part, noun=other(part.noun), adjective=part.adjective and other(part.adjective))
        return Quality(other(part.adjective)) if isinstance(part, Quality) else part

    agent = phrase(event.agent)
    assert agent is not None
    return replace(event, verb=other(event.verb), agent=agent, patient=phrase(event.patient), place=phrase(event.place))
