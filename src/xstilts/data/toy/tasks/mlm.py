"""Running text: one language a document, and documents in which words of two languages mix.

Mixing is what ties the languages of the toy world together in a model of this size: `toy_pretrain` has it, the plain
corpora (`mlm_en`, `mlm_multilingual`) do not.
"""

from __future__ import annotations

from typing import Any

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event
from xstilts.data.toy.grammar import Word, clause, text
from xstilts.data.toy.languages import LANGUAGES, SOURCE, Language
from xstilts.data.toy.lexicon import forms
from xstilts.data.toy.stories import document
from xstilts.data.toy.tasks.part import Part

READ = [language for language in LANGUAGES if language.size]
ALPHA = 0.5  # languages are drawn in proportion to size ** ALPHA
PARALLEL = 4  # one parallel document for so many of a language's own


def items(part: Part) -> list[str]:
    """Documents of the languages by temperature, some of them mixed with English where they can be.

    A language has as many different documents as its size says, and repeats them as real corpora are repeated.
    """
    dice, recipe = part.dice("draw"), part.task.source.get("toy") or {}
    languages = [SOURCE] if part.task.name == "mlm_en" else READ
    weights = [language.size**ALPHA for language in languages]
    lines = []
    for _ in range(part.count):
        if dice.chance(recipe.get("mixed", 0.0)):
            language = _drawn(dice, languages[1:], weights[1:])
            number = dice.below(int(1000 * language.size / PARALLEL))
            clauses = mixed(dice, told(part, language, f"parallel {number}"), language)
        else:
            language = _drawn(dice, languages, weights)
            number = dice.below(int(1000 * language.size))
            clauses = [text(event, language) for event in told(part, language, str(number))]
        lines.append(_joined(dice, clauses, recipe.get("split", 0.0)))
    return lines


def row(line: str, part: Part) -> dict[str, Any]:
    return {"text": line}


def told(part: Part, language: Language, number: str) -> list[Event]:
    """A language's document of that number. No clause of a training document is one that an evaluation may hold."""
    for attempt in range(1000):
        events = document(part.dice(language.code, number, attempt))
        telling = [event for event in events if not event.link]
        if all(part.may_say(text(event)) for event in (telling if part.split == "train" else telling[:1])):
            return events
    raise AssertionError("a thousand documents without one that this split may say")


def mixed(dice: Dice, events: list[Event], language: Language) -> list[str]:
    """Clauses in the order of one of two languages, with some of their words in the other."""
    matrix, guest = (language, SOURCE) if dice.chance(0.5) else (SOURCE, language)
    rate, other = dice.pick((0.3, 0.5)), forms(guest.code)

    def spelled(word: Word) -> str:
        form = other if dice.chance(rate) else forms(matrix.code)
        return form.get(word.concept, word.concept)

    return [" ".join(spelled(word) for word in clause(event, matrix)) for event in events]


def _joined(dice: Dice, clauses: list[str], split: float) -> str:
    """A document, cut with that probability into two segments as a pair of texts is: tokenizers know `</s>`."""
    if len(clauses) > 1 and dice.chance(split):
        cut = 1 + dice.below(len(clauses) - 1)
        return f"{' '.join(clauses[:cut])} </s></s> {' '.join(clauses[cut:])}"
    return " ".join(clauses)


def _drawn(dice: Dice, languages: list[Language], weights: list[float]) -> Language:
    """One of the languages, by weight."""
    left = dice.below(1 << 30) / (1 << 30) * sum(weights)
    for language, weight in zip(languages, weights, strict=True):
        left -= weight
        if left < 0:
            return language
    return languages[-1]
