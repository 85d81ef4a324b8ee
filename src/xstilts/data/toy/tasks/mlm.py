"""Running text: one language a document, and documents in which words of two languages mix.

Mixing is what ties the languages of the toy world together in a model of this size: `toy_pretrain` has it, the plain
corpora (`mlm_en`, `mlm_multilingual`) do not.
"""

from __future__ import annotations

from typing import Any

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event
from xstilts.data.toy.grammar import clause, spelled, text
from xstilts.data.toy.languages import LANGUAGES, SOURCE, Language
from xstilts.data.toy.lexicon import forms
from xstilts.data.toy.stories import document
from xstilts.data.toy.tasks.part import Part

READ = [language for language in LANGUAGES if language.size]
ALPHA = 0.5  # languages are drawn in proportion to size ** ALPHA
MIXED = 4  # one parallel document for so many of a language's own


def items(part: Part) -> list[str]:
    share = float(part.task.options.get("mixed", 0.0))
    return lines(part, [SOURCE] if part.task.name == "mlm_en" else READ, share)


def row(line: str, part: Part) -> dict[str, Any]:
    return {"text": line}


def lines(part: Part, languages: list[Language], share: float) -> list[str]:
    """Documents of the languages by temperature, `share` of them mixed with English where they can be.

    A language has as many different documents as its size says, and repeats them as real corpora are repeated.
    """
    dice = part.dice("draw")
    weights = [language.size**ALPHA for language in languages]
    out = []
    for _ in range(part.count):
        if dice.chance(share) and len(languages) > 1:
            language = _drawn(dice, languages[1:], weights[1:])
            number = dice.below(int(1000 * language.size / MIXED))
            out.append(mixed(dice, told(part, language, f"parallel {number}"), language))
        else:
            language = _drawn(dice, languages, weights)
            number = dice.below(int(1000 * language.size))
            out.append(text(told(part, language, number), language))
    return out


def told(part: Part, language: Language, number: object) -> list[Event]:
    """A language's document of that number, all of it sayable in this split."""
    for attempt in range(1000):
        events = document(part.dice(language.code, number, attempt))
        if all(part.may_say(text(event)) for event in events if not event.link):
            return events
    raise AssertionError("a thousand documents without one that this split may say")


def mixed(dice: Dice, events: list[Event], language: Language) -> str:
    """A document in the order of one of two languages, with some of its words in the other."""
    matrix, guest = (language, SOURCE) if dice.chance(0.5) else (SOURCE, language)
    rate = dice.pick((0.3, 0.5))
    words = [word for event in events for word in clause(event, matrix)]
    other = forms(guest.code)
    return " ".join(
        other.get(word.concept, word.concept) if dice.chance(rate) else spelled([word], matrix)[0] for word in words
    )


def _drawn(dice: Dice, languages: list[Language], weights: list[float]) -> Language:
    """One of the languages, by weight."""
    left = dice.below(1 << 30) / (1 << 30) * sum(weights)
    for language, weight in zip(languages, weights, strict=True):
        left -= weight
        if left < 0:
            return language
    return languages[-1]
