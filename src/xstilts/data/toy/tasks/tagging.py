"""A label a word: parts of speech (udpos), names (panx), and the categories of CCG, in English (ccg)."""

from __future__ import annotations

from typing import Any

from xstilts.data.toy.events import Asked, Event, Quality
from xstilts.data.toy.grammar import Word, clause, spelled, text
from xstilts.data.toy.scenes import SCENES
from xstilts.data.toy.stories import answerable, asking, event
from xstilts.data.toy.tasks.part import Part


def items(part: Part) -> list[Event]:
    """Clauses of all kinds, a fifth of them questions; for names, clauses that have some."""
    dice = part.dice()

    def draw() -> Event | None:
        said = event(dice, dice.pick(SCENES))
        if part.task.name != "panx" and dice.chance(0.2):
            said = asking(said, dice.pick(answerable(said)))
        named = any(word.entity != "O" for word in clause(said, part.language))
        return said if named or part.task.name != "panx" else None

    return list(part.distinct(draw, text))


def row(said: Event, part: Part) -> dict[str, Any]:
    words = clause(said, part.language)
    if part.task.name == "panx":
        tags = [word.entity for word in words]
    elif part.task.name == "ccg":
        tags = [category(word, said) for word in words]
    else:
        tags = [word.upos for word in words]
    return {"tokens": spelled(words, part.language), "tags": tags}


def category(word: Word, said: Event) -> str:
    """The CCGbank category of a word in an English clause."""
    if word.role == "verb" or word.upos == "AUX":
        return _verb(word, said)
    fixed = {
        "DET": "NP[nb]/N",
        "NUM": "N/N",
        "PART": "(S\\NP)\\(S\\NP)",
        "ADV": "(S\\NP)\\(S\\NP)",
        "PUNCT": ".",
        "CCONJ": "conj",
        "SCONJ": "S/S",
        "PROPN": "N",
        "NOUN": "N",
        "ADJ": "N/N",
    }
    if word.upos == "ADP":
        return "PP/NP" if said.recipient and word.concept == "to" else "((S\\NP)\\(S\\NP))/NP"
    if word.upos == "PRON":
        return "S[wq]/(S[dcl]\\NP)" if word.role == "agent" else "S[wq]/(S[q]/NP)"
    if word.upos == "ADJ" and isinstance(said.patient, Quality) and word.role == "patient":
        return "S[adj]\\NP"
    if word.upos == "PROPN" and _followed(word, said):
        return "N/N"
    return fixed[word.upos]


def _verb(word: Word, said: Event) -> str:
    """By its objects, and whether an auxiliary carries the mood."""
    if word.role != "verb":
        return "(S[dcl]\\NP)/(S[b]\\NP)"
    form = "S[b]" if said.auxiliary else "S[dcl]"
    if isinstance(said.patient, Quality):
        return f"({form}\\NP)/(S[adj]\\NP)"
    if said.recipient:
        return f"(({form}\\NP)/PP)/NP"
    transitive = said.patient is not None and not isinstance(said.patient, Asked)
    return f"({form}\\NP)/NP" if transitive else f"{form}\\NP"


def _followed(word: Word, said: Event) -> bool:
    """Whether a name goes on with a noun, as a company's does."""
    phrases = (said.agent, said.patient, said.place)
    return word.entity == "B-ORG" and any(getattr(phrase, "firm", None) for phrase in phrases)
