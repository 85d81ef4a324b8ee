"""Running text: every seen language by its size, no unseen one, and mixed documents only where they are asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from xstilts import task as tasks
from xstilts.data import toy
from xstilts.data.toy.languages import LANGUAGES
from xstilts.data.toy.lexicon import CONCEPTS, NAMES, NUMBERS, forms

MARKS = {*NAMES, *NUMBERS, ".", "?", "</s></s>"}
READ = [language.code for language in LANGUAGES if language.size]


def documents(name: str, **recipe: float) -> list[str]:
    task = tasks.load(name)
    if recipe:
        task = replace(task, source={"toy": recipe})
    world = {"sizes": {"train": 1500, "selection": 20}}
    return [row["text"] for row in dict(toy.parts(toy.localised(task), world))["en/train"]]


def languages(document: str) -> set[str]:
    """The languages that all words of a document can be of."""
    words = set(document.split()) - MARKS
    return {language.code for language in LANGUAGES if words <= set(forms(language.code).values())}


def test_english_is_english() -> None:
    assert all("en" in languages(document) for document in documents("mlm_en"))


@pytest.mark.parametrize("name", ["mlm_multilingual", "toy_pretrain"])
def test_no_word_is_of_an_unseen_language_alone(name: str) -> None:
    known = {word for code in READ for word in forms(code).values()} | MARKS
    assert not {word for document in documents(name) for word in document.split()} - known


def test_languages_come_by_size() -> None:
    """With the square root of their sizes, as the temperature says."""
    counts = Counter(
        code for document in documents("mlm_multilingual") if len(codes := languages(document)) == 1 for code in codes
    )
    total = sum(language.size**0.5 for language in LANGUAGES)
    for language in LANGUAGES:
        if language.size:
            assert counts[language.code] / counts.total() == pytest.approx(language.size**0.5 / total, abs=0.05)


def test_only_mixed_documents_have_words_of_two_languages() -> None:
    def impure(texts: list[str]) -> float:
        return sum(not languages(text) for text in texts) / len(texts)

    assert impure(documents("mlm_multilingual")) == 0
    assert impure(documents("toy_pretrain", mixed=0.0)) == 0
    assert 0.3 < impure(documents("toy_pretrain", mixed=0.5)) <= 0.5


def test_segments_are_cut_where_asked() -> None:
    assert not any("</s>" in text for text in documents("toy_pretrain", mixed=0.4))
    cut = sum(text.count(" </s></s> ") == 1 for text in documents("toy_pretrain", mixed=0.4, split=0.5))
    assert 0.3 < cut / 1500 < 0.5


def test_every_word_is_read() -> None:
    said = {word for document in documents("mlm_en") for word in document.split()}
    assert len(set(CONCEPTS) - said) < 0.05 * len(CONCEPTS)
