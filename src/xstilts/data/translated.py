"""An item in another language: which of its texts are translated, and what is made of their translations.

What is translated is a sentence, since that is what translation models were trained on. An answer in a paragraph is
translated by itself and then looked for in the translation of its sentence, in any case of letters: where none of an
item's answers is found, there is no item. Ids and labels stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xstilts.data.readers.sentences import sentences
from xstilts.errors import UserError, choices

Item = dict[str, Any]
#: Sentence -> its translation.
Translation = Mapping[str, str]


def wanted(item: Item, format: str) -> Iterator[str]:
    """Every sentence of an item that has to be translated."""
    for text in _TEXTS[format](item):
        yield from (text[begin:end] for begin, end in sentences(text))


def translated(item: Item, format: str, translation: Translation) -> Item | None:
    """The item in the other language, in the columns of its format; None where no answer of it is found again."""
    return _ITEMS[format](item, translation)


def check(format: str) -> None:
    """Raises `UserError` of a format whose items cannot be translated, such as tags of single words."""
    if format not in _TEXTS:
        raise UserError(f"items of format {format} cannot be translated; {choices(format, _TEXTS)}")


def _pair_texts(item: Item) -> list[str]:
    return [item["text_a"], item["text_b"] or ""]


def _pair(item: Item, translation: Translation) -> Item:
    second = {"text_b": _joined(item["text_b"], translation)} if item["text_b"] is not None else {}
    return {**item, "text_a": _joined(item["text_a"], translation), **second}


def _choice_texts(item: Item) -> list[str]:
    return [item["context"], item["question"], *item["choices"]]


def _choice(item: Item, translation: Translation) -> Item:
    context, question, *options = (_joined(text, translation) for text in _choice_texts(item))
    return {**item, "context": context, "question": question, "choices": options}


def _span_texts(item: Item) -> list[str]:
    return [item["context"], item["question"], *(answer["text"] for answer in item["answers"])]


def _span(item: Item, translation: Translation) -> Item | None:
    context, places = "", []  # of the original's sentences: beginning, end, and the beginning of the translation
    for begin, end in sentences(item["context"]):
        context += " " if context else ""
        places.append((begin, end, len(context)))
        context += translation[item["context"][begin:end]]
    found = [_answer(item, answer, places, translation) for answer in item["answers"]]
    answers = [answer for answer in found if answer]
    if item["answers"] and not answers:
        return None
    return {**item, "context": context, "question": _joined(item["question"], translation), "answers": answers}


def _answer(item: Item, answer: Item, places: list[tuple[int, int, int]], translation: Translation) -> Item | None:
    """An answer in the translation of the sentence it lies in; None where it is not there, or in no one sentence."""
    first, last = answer["start"], answer["start"] + len(answer["text"])
    text = _joined(answer["text"], translation).strip(" .。।۔")
    for begin, end, start in places:
        if text and begin <= first and last <= end:
            said = translation[item["context"][begin:end]]
            if match := re.search(re.escape(text), said, re.IGNORECASE):
                return {"text": match[0], "start": start + match.start()}
    return None


def _joined(text: str, translation: Translation) -> str:
    return " ".join(translation[text[begin:end]] for begin, end in sentences(text))


_TEXTS: dict[str, Callable[[Item], list[str]]] = {
    "classification": _pair_texts,
    "choice": _choice_texts,
    "span": _span_texts,
}
_ITEMS: dict[str, Callable[[Item, Translation], Item | None]] = {
    "classification": _pair,
    "choice": _choice,
    "span": _span,
}
