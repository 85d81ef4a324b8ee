"""The design of the languages: what is crossed is crossed, and kinship is in the words."""

from __future__ import annotations

from collections import Counter

import pytest

from xstilts.data.toy.events import Event, Name, Thing
from xstilts.data.toy.grammar import text
from xstilts.data.toy.languages import BY_CODE, LANGUAGES, SCRIPTS, seen
from xstilts.data.toy.lexicon import CONCEPTS, forms

OTHERS = [language for language in LANGUAGES if language.code != "en"]


def test_order_and_resource_are_crossed() -> None:
    cells = Counter((language.tier, language.order) for language in OTHERS)
    assert len({tier for tier, _ in cells}) == 4
    for tier in ("high", "mid", "low", "unseen"):
        assert cells[tier, "medial"] == cells[tier, "final"] > 0
        sizes = {language.order: language.size for language in OTHERS if language.tier == tier}
        assert sizes["medial"] == sizes["final"]


def test_each_order_has_an_unseen_sister_and_an_unseen_isolate() -> None:
    unseen = [language for language in OTHERS if not seen()[language.code]]
    assert sorted((language.order, language.parent is None) for language in unseen) == [
        ("final", False), ("final", True), ("medial", False), ("medial", True),
    ]  # fmt: skip
    families = Counter(language.family for language in LANGUAGES)
    for language in unseen:
        assert families[language.family] == (2 if language.parent else 1)
        if language.parent:
            parent = BY_CODE[language.parent]
            assert (parent.order, parent.script, parent.family) == (language.order, language.script, language.family)


def test_codes_are_for_private_use() -> None:
    assert all("qaa" <= language.code <= "qtz" and len(language.code) == 3 for language in OTHERS)


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.code)
def test_words_are_different_and_in_the_script(language) -> None:  # type: ignore[no-untyped-def]
    words = forms(language.code)
    assert set(words) == set(CONCEPTS)
    assert len(set(words.values())) == len(CONCEPTS)
    assert set("".join(words.values())) <= set("".join(language.letters.values()))
    assert language.script in SCRIPTS
    assert not set(words.values()) & set(CONCEPTS), "a word of English is in the language"


def shared(a: str, b: str) -> float:
    """The share of concepts that two languages have the same word for."""
    return sum(forms(a)[concept] == forms(b)[concept] for concept in CONCEPTS) / len(CONCEPTS)


def test_sisters_share_words_and_isolates_do_not() -> None:
    for language in OTHERS:
        for other in LANGUAGES:
            if other is language:
                continue
            related = language.parent == other.code or other.parent == language.code
            assert (
                (0.3 < shared(language.code, other.code) < 0.9) if related else shared(language.code, other.code) < 0.05
            )


def test_languages_of_one_order_put_the_same_words_in_the_same_places() -> None:
    said = Event("give", Thing("farmer", "every", "big"), Thing("book", "a", "red"), Name("Moke", "PER"), "in",
                 Thing("park"), "today", "did", True)  # fmt: skip
    gloss = {}
    for language in OTHERS:
        back = {form: concept for concept, form in forms(language.code).items()}
        gloss.setdefault(language.order, set()).add(" ".join(back.get(w, w) for w in text(said, language).split()))
    assert gloss == {
        "medial": {"every farmer big did not give a book red to Moke in the park today ."},
        "final": {"today every big farmer park in Moke to red book give not did ."},
    }
    assert text(said) == "every big farmer did not give a red book to Moke in the park today ."
