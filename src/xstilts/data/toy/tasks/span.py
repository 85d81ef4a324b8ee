"""Questions about a short text whose answer is a stretch of it: squad and its kin.

`squad` and `xquad` ask about three clauses, `mlqa` about two, `tydiqa` about what is true of people, with a text of its
own in every language. Where the task has unanswerable questions, a third ask for what the text does not say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.events import Event, restated
from xstilts.data.toy.grammar import asking, clause, spelled, text
from xstilts.data.toy.languages import Language
from xstilts.data.toy.lexicon import PLAIN
from xstilts.data.toy.scenes import PERSONS, SCENES, action, facts
from xstilts.data.toy.stories import answerable
from xstilts.data.toy.tasks.part import Part


class Question(NamedTuple):
    told: list[Event]  # the text
    asked: Event
    about: int | None  # the clause that answers it; None where none does
    role: str  # the part of the clause that is the answer


def items(part: Part) -> list[Question]:
    dice = part.dice()
    missing = 0.33 if part.task.options.get("no_answer") else 0.0
    return list(part.distinct(lambda: question(dice, part.task.name, missing), lambda item: text(item.told)))


def row(item: Question, part: Part) -> dict[str, Any]:
    context, answers = text(item.told, part.language), []
    if item.about is not None:
        before = text(item.told[: item.about], part.language)
        start, answer = stretch(item.told[item.about], item.role, part.language)
        answers = [{"text": answer, "start": start + len(before) + bool(before)}]
    return {"context": context, "question": text(item.asked, part.language), "answers": answers}


def question(dice: Dice, task: str, missing: float = 0.0) -> Question | None:
    """A text and a question that exactly one of its clauses answers, or, with that probability, none."""
    told = people(dice) if task == "tydiqa" else happenings(dice, 2 if task == "mlqa" else 3)
    gone = dice.chance(missing)
    if len({PLAIN.get(event.verb, event.verb) for event in told}) < len(told):
        return None  # the verb is what tells which clause is meant
    about = dice.below(len(told))
    role = dice.pick(answerable(told[about]))
    asked = asking(restated(dice, told[about], 0.3), role)
    if dice.chance(0.5):
        asked = replace(asked, time=None)
    if role != "place" and dice.chance(0.5) and asked.verb not in {"live", "work"}:
        asked = replace(asked, preposition=None, place=None)
    if gone:
        told = told[:about] + told[about + 1 :]
    return Question(told, asked, None if gone else about, role)


def happenings(dice: Dice, count: int) -> list[Event]:
    """What different people did in a scene, nothing of it denied."""
    scene = dice.pick(SCENES)
    return [replace(action(dice, scene), negated=False) for _ in range(count)]


def people(dice: Dice) -> list[Event]:
    """Some of what is true of two people."""
    return [event for person in dice.sample(PERSONS, 2) for event in dice.sample(facts(person), 2)]


def stretch(event: Event, role: str, language: Language) -> tuple[int, str]:
    """Where a part of a clause starts, in characters, and its text."""
    words = clause(event, language)
    inside = [index for index, word in enumerate(words) if word.role == role]
    forms = spelled(words, language)
    start = sum(len(form) + 1 for form in forms[: inside[0]])
    return start, " ".join(forms[inside[0] : inside[-1] + 1])
