"""Reading English clauses back: an oracle for labels that shares nothing with the generators but the vocabulary."""

from __future__ import annotations

from xstilts.data.toy.events import Event, Name, Phrase, Quality, Thing
from xstilts.data.toy.lexicon import ADJECTIVES, NAMES, NUMBERS, PREPOSITIONS, STATES, SYNONYM, TIMES, UPOS

QUALITIES = {*ADJECTIVES, *STATES} | {SYNONYM[word] for word in [*ADJECTIVES, *STATES] if word in SYNONYM}


def event(clause: str) -> Event:
    """The event of a statement that names nobody but people and towns."""
    words = clause.split()
    assert words.pop() == "."
    agent, words = _phrase(words, "PER")
    auxiliary = words.pop(0) if words[0] in {"did", "will"} else None
    negated = words[0] == "not"
    words = words[negated:]
    verb, words = words[0], words[1:]
    assert UPOS[verb] == "VERB"
    patient, recipient, preposition, place, time = None, None, None, None, None
    if words and words[0] not in {*PREPOSITIONS, *TIMES}:
        patient, words = _phrase(words, "PER")
    if words and words[0] == "to":
        recipient, words = _phrase(words[1:], "PER")
    if words and words[0] in PREPOSITIONS:
        preposition = words[0]
        place, words = _phrase(words[1:], "LOC")
    if words:
        time = words.pop(0)
    assert not words, f"{clause!r} goes on with {words}"
    assert recipient is None or isinstance(recipient, Name)
    return Event(verb, agent, patient, recipient, preposition, place, time, auxiliary, negated)


def _phrase(words: list[str], kind: str) -> tuple[Phrase, list[str]]:
    """The phrase that the words begin with, and the words behind it."""
    if words[0] in NAMES:
        return Name(words[0], kind), words[1:]
    determiner = words[0] if words[0] in {"the", "a", "some", "every"} else None
    words = words[determiner is not None :]
    number = words[0] if words[0] in NUMBERS else None
    words = words[number is not None :]
    adjective = words[0] if words[0] in QUALITIES else None
    words = words[adjective is not None :]
    assert not isinstance(adjective, Quality)
    return Thing(words[0], determiner, adjective, number), words[1:]
