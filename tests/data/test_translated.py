"""Items put together of translated sentences: what stays, what is found again, what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from xstilts.data.translated import check, translated, wanted
from xstilts.errors import UserError

Item = dict[str, Any]


class Louder(dict):
    """A language whose words are English ones in capitals, backwards."""

    def __missing__(self, text: str) -> str:
        return " ".join(reversed(text.upper().split()))


def span(context: str, *answers: str, **more: Any) -> Item:
    found = [{"text": text, "start": context.index(text)} for text in answers]
    return {"id": "q", "context": context, "question": "What is it?", "answers": found, **more}


def test_pairs_keep_their_ids_and_labels() -> None:
    item = {"id": "7", "text_a": "Rome is old. It fell.", "text_b": "So it is.", "label": "neutral"}
    assert list(wanted(item, "classification")) == ["Rome is old.", "It fell.", "So it is."]
    expected = {"id": "7", "text_a": "OLD. IS ROME FELL. IT", "text_b": "IS. IT SO", "label": "neutral"}
    assert translated(item, "classification", Louder()) == expected
    alone = {**item, "text_b": None}
    assert translated(alone, "classification", Louder()) == {**expected, "text_b": None}


def test_choices_keep_their_order() -> None:
    item = {"id": "1", "context": "", "question": "Where to?", "choices": ["to bed", "to work"], "label": 1}
    assert list(wanted(item, "choice")) == ["Where to?", "to bed", "to work"]
    found = translated(item, "choice", Louder())
    assert found == {**item, "question": "TO? WHERE", "choices": ["BED TO", "WORK TO"]}


def test_answers_are_found_in_the_sentence_they_are_of() -> None:
    """The same word stands in an earlier sentence too."""
    item = span("It is in Rome. The king of Rome fell. More.", "king of Rome")
    translation = {
        **{"It is in Rome.": "Iko Roma.", "The king of Rome fell.": "Alianguka MFALME WA Roma.", "More.": "Zaidi."},
        **{"king of Rome": "Mfalme wa Roma.", "What is it?": "Nini?"},
    }
    found = translated(item, "span", translation)
    assert found is not None
    (answer,) = found["answers"]
    assert answer == {"text": "MFALME WA Roma", "start": 20}
    assert found["context"] == "Iko Roma. Alianguka MFALME WA Roma. Zaidi."
    assert found["context"][answer["start"] :].startswith(answer["text"])
    assert (found["id"], found["question"]) == ("q", "Nini?")


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (span("Rome is old.", "is", "Rome"), 2),
        (span("Rome is old.", "is old", "Rome"), 1),
        (span("Rome is old.", "is old"), None),
        (span("It is Rome. Old it is.", "Rome. Old"), None),
        (span("Rome is old."), 0),
    ],
    ids=["all", "some", "none", "in two sentences", "no answer to find"],
)
def test_what_is_not_found_is_left_out(item: Item, kept: int | None) -> None:
    """In this language the order of words is another; a question that has no answer needs none."""
    translation = Louder({"is old": "GAMLA ÄR"})
    found = translated(item, "span", translation)
    assert (found if found is None else len(found["answers"])) == kept


def test_tags_of_words_cannot_be_translated() -> None:
    with pytest.raises(UserError, match=r"format tagging cannot be translated; .*choice, classification, span"):
        check("tagging")
