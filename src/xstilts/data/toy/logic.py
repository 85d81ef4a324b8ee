"""What one clause says about another: entailment, neutral or contradiction, from what the two mean.

The generator asks this of the pairs it makes, so a label is never the generator's intention but the world's logic. The
convention is that of SNLI: premise and hypothesis speak of the same event where they can.
"""

from __future__ import annotations

from xstilts.data.toy.events import Event, Phrase, Quality, Thing
from xstilts.data.toy.lexicon import CLASS, COLOURS, DAYS, OPPOSITE, PLAIN

ENTAILMENT, NEUTRAL, CONTRADICTION = "entailment", "neutral", "contradiction"
#: how what a hypothesis says compares with what the premise says
EQUAL, WIDER, NARROWER, OPPOSED, OTHER = range(5)


def relation(premise: Event, hypothesis: Event) -> str:
    """The label of a pair of clauses."""
    how = compare(premise, hypothesis)
    if not premise.negated and not hypothesis.negated:
        return ENTAILMENT if how in (EQUAL, WIDER) else CONTRADICTION if how == OPPOSED else NEUTRAL
    if not premise.negated:  # not X, where X is so
        return CONTRADICTION if how in (EQUAL, WIDER) else ENTAILMENT if how == OPPOSED else NEUTRAL
    if hypothesis.negated:  # not having a book is not having a red book
        return ENTAILMENT if how in (EQUAL, NARROWER) else NEUTRAL
    return CONTRADICTION if how in (EQUAL, NARROWER) else NEUTRAL


def compare(premise: Event, hypothesis: Event) -> int:
    """The hypothesis against the premise, negation aside."""
    parts = [
        EQUAL if _plain(premise.verb) == _plain(hypothesis.verb) else OTHER,
        EQUAL if (premise.auxiliary or "did") == (hypothesis.auxiliary or "did") else OTHER,
        EQUAL if premise.recipient == hypothesis.recipient else OTHER,
        phrases(premise.agent, hypothesis.agent),
        phrases(premise.patient, hypothesis.patient),
        _places(premise, hypothesis),
        _times(premise.time, hypothesis.time),
    ]
    return together(parts)


def together(parts: list[int]) -> int:
    """One answer out of those about the parts: anything else spoils all, then an opposition decides."""
    kinds = set(parts) - {EQUAL}
    if OTHER in kinds or {WIDER, NARROWER} <= kinds or {OPPOSED, NARROWER} <= kinds:
        return OTHER
    return OPPOSED if OPPOSED in kinds else kinds.pop() if kinds else EQUAL


def phrases(a: Phrase | None, b: Phrase | None) -> int:
    """Phrase b against phrase a."""
    if isinstance(a, Thing) and isinstance(b, Thing):
        if (a.determiner, a.number) != (b.determiner, b.number):
            return OTHER
        if a.determiner == "every":  # every food implies every red bread, and not the other way round
            a, b = b, a
        return together([_nouns(a.noun, b.noun), _adjectives(a.adjective, b.adjective)])
    if isinstance(a, Quality) and isinstance(b, Quality):
        return _adjectives(a.adjective, b.adjective)
    return EQUAL if a == b else OTHER


def _plain(word: str) -> str:
    """The word that stands for itself and its synonym."""
    return PLAIN.get(word, word)


def _nouns(a: str, b: str) -> int:
    a, b = _plain(a), _plain(b)
    return EQUAL if a == b else WIDER if CLASS.get(a) == b else NARROWER if CLASS.get(b) == a else OTHER


def _adjectives(a: str | None, b: str | None) -> int:
    if a is None or b is None:
        return EQUAL if a == b else WIDER if b is None else NARROWER
    a, b = _plain(a), _plain(b)
    if a == b:
        return EQUAL
    return OPPOSED if OPPOSITE.get(a) == b or {a, b} <= set(COLOURS) else OTHER


def _places(a: Event, b: Event) -> int:
    if a.place is None or b.place is None:
        return EQUAL if a.place == b.place else WIDER if b.place is None else NARROWER
    return phrases(a.place, b.place) if a.preposition == b.preposition else OTHER


def _times(a: str | None, b: str | None) -> int:
    if a is None or b is None:
        return EQUAL if a == b else WIDER if b is None else NARROWER
    return EQUAL if a == b else OPPOSED if a in DAYS and b in DAYS else OTHER
