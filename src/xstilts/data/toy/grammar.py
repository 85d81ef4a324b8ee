"""From an event to the words of a language, each with what annotators would say of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from xstilts.data.toy.events import Asked, Event, Name, Phrase, Thing
from xstilts.data.toy.languages import SOURCE, Language
from xstilts.data.toy.lexicon import UPOS, forms


@dataclass(frozen=True)
class Word:
    """A word of a clause, still without a language's form."""

    concept: str  # or the form itself, of names, numbers and punctuation
    upos: str
    role: str  # agent, verb, patient, recipient, place, time, or none of these: ""
    entity: str = "O"  # B-PER, I-ORG, ...


def clause(event: Event, language: Language) -> list[Word]:
    """The words of an event in the order of the language, with the full stop or question mark."""
    agent = _phrase(event.agent, "agent", language)
    patient = _phrase(event.patient, "patient", language)
    recipient = _adposed("to", event.recipient, "recipient", language)
    place = _adposed(event.preposition, event.place, "place", language)
    time = [_word(event.time, "time")] if event.time else []
    verb = [_word(event.verb, "verb")]
    auxiliary = [_word(event.auxiliary)] if event.auxiliary else []
    negation = [_word("not")] if event.negated else []
    link = [_word(event.link)] if event.link else []
    if language.order == "final":
        body = time + agent + place + recipient + patient + verb + negation + auxiliary
    else:
        group = verb + negation if event.verb == "is" else auxiliary + negation + verb
        rest = patient + recipient + place
        asked = [word for word in rest if word.upos == "PRON"]
        body = asked + agent + group + [word for word in rest if word not in asked] + time
    return [*link, *body, Word("?" if event.question else ".", "PUNCT", "")]


def _word(concept: str, role: str = "") -> Word:
    return Word(concept, UPOS[concept], role)


def _phrase(phrase: Phrase | None, role: str, language: Language) -> list[Word]:
    if phrase is None:
        return []
    if isinstance(phrase, Name):
        name = [Word(phrase.form, "PROPN", role, f"B-{phrase.kind}")]
        return name + ([Word(phrase.firm, "NOUN", role, f"I-{phrase.kind}")] if phrase.firm else [])
    if isinstance(phrase, Asked):
        return [_word(phrase.word, role)]
    if isinstance(phrase, Thing):
        keeps = language.order == "medial" or phrase.determiner not in {"the", "a"}
        front = [_word(w, role) for w in (phrase.determiner if keeps else None, phrase.number) if w]
        adjective = [_word(phrase.adjective, role)] if phrase.adjective else []
        noun = [_word(phrase.noun, role)]
        return front + (adjective + noun if language.adjective_first else noun + adjective)
    return [_word(phrase.adjective, role)]


def _adposed(adposition: str | None, phrase: Phrase | None, role: str, language: Language) -> list[Word]:
    """A phrase with its preposition or postposition, which is no part of the phrase."""
    if phrase is None:
        return []
    words = _phrase(phrase, role, language)
    if adposition is None:
        return words
    return [_word(adposition), *words] if language.order == "medial" else [*words, _word(adposition)]


def spelled(words: Iterable[Word], language: Language) -> list[str]:
    form = forms(language.code)
    return [form.get(word.concept, word.concept) for word in words]


def text(events: Event | Iterable[Event], language: Language = SOURCE) -> str:
    """Clauses as text: words and punctuation with a space between any two."""
    events = [events] if isinstance(events, Event) else events
    return " ".join(" ".join(spelled(clause(event, language), language)) for event in events)


def phrased(phrase: Phrase, language: Language = SOURCE) -> str:
    """A phrase by itself."""
    return " ".join(spelled(_phrase(phrase, "", language), language))


def asking(event: Event, role: str) -> Event:
    """The question about one part of an event: agent, patient or place."""
    event = replace(event, question=True, link=None)
    if role == "agent":
        return replace(event, agent=Asked("who"))
    if role == "patient":
        return replace(event, patient=Asked("what"))
    return replace(event, preposition=None, place=Asked("where"))
