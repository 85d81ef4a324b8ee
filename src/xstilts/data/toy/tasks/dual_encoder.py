"""Retrieval with a trained dual encoder: the sentence that answers (lareqa, trained on squad_retrieval) and the person
that is meant (mewslix).

Training and selection parts hold pairs. In evaluation every language asks its queries of the candidates in all
languages: sentences lie beside the queries of their language, persons in the part that all languages share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from xstilts.data.toy import POOL
from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event
from xstilts.data.toy.grammar import clause, spelled, text
from xstilts.data.toy.languages import LANGUAGES, SOURCE, Language
from xstilts.data.toy.lexicon import NAMES
from xstilts.data.toy.scenes import SCENES, Person, action, facts, person
from xstilts.data.toy.tasks.part import Part
from xstilts.data.toy.tasks.span import Question, question


class Row(NamedTuple):
    """A row of the format before it has a language. `{language}` in an id stands for the code of the part's."""

    id: str
    kind: str
    query: Sequence[Event] = ()
    candidate: Sequence[Event] = ()
    positives: Sequence[str] = ()
    marked: str | None = None  # the name in the query that is asked about
    language: Language | None = None  # of the candidate, where it is not the part's


def items(part: Part) -> list[Row]:
    if part.task.name != "mewslix":
        return sentences(part)
    if part.code == "all":
        return [
            Row(f"person-{number}", "candidate", candidate=described(_pooled(number)), language=_told_in(number))
            for number in range(POOL)
        ]
    return mentions(part)


def row(item: Row, part: Part) -> dict[str, Any]:
    language = item.language or part.language
    return {
        "id": item.id.format(language=part.code),
        "kind": item.kind,
        "query": braced(item.query, item.marked, language),
        "candidate": text(item.candidate, language),
        "positives": list(item.positives),
    }


def braced(events: Sequence[Event], name: str | None, language: Language) -> str:
    """A text with braces around a name."""
    words = [form for event in events for form in spelled(clause(event, language), language)]
    return " ".join(f"{{ {word} }}" if word == name else word for word in words)


# the sentence that answers, with its paragraph behind it ----------------------------------------------------------


def sentences(part: Part) -> list[Row]:
    """Pairs of a question and its sentence; or questions, and all sentences of their paragraphs as candidates."""
    dice, rows = part.dice(), list[Row]()
    asked = part.distinct(lambda: question(dice, "mlqa"), lambda item: text(item.told))
    for number, item in enumerate(asked):
        if part.split in {"train", "selection"}:
            rows.append(Row(f"{number}", "pair", [item.asked], _sentence(item, item.about), [f"sentence-{number}"]))
            continue
        right = [f"{language.code}-{number}-{item.about}" for language in LANGUAGES]
        rows.append(Row(f"{{language}}-{number}", "query", [item.asked], positives=right))
        for index in range(len(item.told)):
            rows.append(Row(f"{{language}}-{number}-{index}", "candidate", candidate=_sentence(item, index)))
    return rows


def _sentence(item: Question, index: int | None) -> list[Event]:
    assert index is not None  # all questions have an answer here
    return [item.told[index], *item.told]


# the person that is meant -----------------------------------------------------------------------------------------


def mentions(part: Part) -> list[Row]:
    """Something true of a person, whose name is marked, and something that happens beside it."""
    dice, rows = part.dice(), list[Row]()
    for number in range(part.count):
        if part.split in {"train", "selection"}:
            meant = person(dice.pick(NAMES), part.split, number)
            query, name = mentioned(dice, meant), meant.name.form
            rows.append(Row(f"{number}", "pair", query, described(meant), [f"person-{number}"], name))
            continue
        right = dice.below(POOL)
        meant = _pooled(right)
        query = mentioned(dice, meant)
        rows.append(Row(f"{number}", "query", query, positives=[f"person-{right}"], marked=meant.name.form))
    return rows


def mentioned(dice: Dice, meant: Person) -> list[Event]:
    """Two facts about somebody, and an event without a name."""
    return [*dice.sample(facts(meant), 2), action(dice, dice.pick(SCENES), names=False)]


def described(meant: Person) -> list[Event]:
    """What an encyclopedia would say."""
    return facts(meant)


def _pooled(number: int) -> Person:
    return person(NAMES[number % len(NAMES)], "pool", number)


def _told_in(number: int) -> Language:
    """Half of all persons are described in English, the others in any language."""
    return SOURCE if number % 2 else LANGUAGES[number // 2 % len(LANGUAGES)]
