"""Goldens computed by hand from the official definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.scoring.qa import MLQA_ARTICLES, VERSIONS, evaluate, normalise, score_item

EVERY = [(version, "en") for version in VERSIONS] + [("mlqa", language) for language in MLQA_ARTICLES]
WORDS = st.sampled_from(
    ["the", "a", "an", "cat", "Dog", "…", "ال", "الكتاب", "der", "của", "一个人", "¿qué?", "don't", " "]
)
TEXTS = st.lists(WORDS, max_size=5).map(" ".join) | st.text(max_size=8)


@pytest.mark.parametrize(
    ("text", "version", "language", "expected"),
    [
        ("The  Cat, sat.", "squad-1.1", "en", "cat sat"),
        ("«Cat» — dog", "squad-1.1", "en", "«cat» — dog"),  # ASCII punctuation alone
        ("«Cat» — dog", "mlqa", "en", "cat dog"),
        ("a $5 an+d", "mlqa", "en", "5 and"),  # $ and + are symbols to Unicode, but ASCII punctuation
        ("x € y", "mlqa", "en", "x € y"),
        ("theatre", "squad-2.0", "en", "theatre"),
        ("der Hund des Kaisers", "mlqa", "de", "hund kaisers"),
        ("der Hund the cat", "squad-1.1", "de", "der hund cat"),  # English articles in every language
        ("El perro y las casas", "mlqa", "es", "perro y casas"),
        ("chiếc xe của tôi", "mlqa", "vi", "xe tôi"),
        ("الكتاب", "mlqa", "ar", "كتاب"),
        ("مقالة", "mlqa", "ar", "مق ة"),  # the article's letters inside a word
        ("the घर।", "mlqa", "hi", "the घर"),
        ("北京2008年,OK go。", "mlqa", "zh", "北 京 2008 年 ok go"),
        ("北京 2008", "squad-1.1", "zh", "北京 2008"),
        ("龥龦", "mlqa", "zh", "龥 龦"),  # U+9FA5 is the last that stands alone
        ("㐀㐁", "mlqa", "zh", "㐀㐁"),  # characters of the extensions do not
        ("cafe\u0301\u3000x\u00a0y", "mlqa", "en", "cafe\u0301 x y"),
    ],
)
def test_normalise(text: str, version: str, language: str, expected: str) -> None:
    assert normalise(text, version, language) == expected


@pytest.mark.parametrize(
    ("prediction", "golds", "version", "language", "expected"),
    [
        ("The cat sat", ["a cat"], "squad-1.1", "en", (0, 2 / 3)),  # precision 1/2, recall 1
        ("cat cat cat", ["cat dog"], "squad-1.1", "en", (0, 0.4)),  # one of three, one of two
        ("cat dog", ["bird", "cat dog fish", "dog"], "squad-1.1", "en", (0, 0.8)),  # the best gold
        ("The Cat!", ["bird", "cat"], "squad-2.0", "en", (1, 1)),
        ("一个人", ["人"], "squad-1.1", "zh", (0, 0)),
        ("一个人", ["人"], "mlqa", "zh", (0, 0.5)),  # precision 1/3, recall 1
        (None, ["cat"], "squad-1.1", "en", (0, 0)),
        (None, ["the"], "mlqa", "en", (0, 0)),
        # both normalise to nothing
        ("a", ["The"], "squad-1.1", "en", (1, 0)),
        ("!", [""], "mlqa", "es", (1, 0)),
        ("a", ["The"], "squad-2.0", "en", (1, 1)),
        ("", [], "squad-2.0", "en", (1, 1)),
        # one of them does
        ("", ["cat"], "squad-1.1", "en", (0, 0)),
        ("", ["cat"], "squad-2.0", "en", (0, 0)),
        ("cat", [], "squad-2.0", "en", (0, 0)),
        ("", ["the", "cat"], "squad-2.0", "en", (0, 0)),  # an empty gold beside another does not count in 2.0
        ("", ["the", "cat"], "squad-1.1", "en", (1, 0)),
    ],
)
def test_items(
    prediction: str | None, golds: list[str], version: str, language: str, expected: tuple[float, float]
) -> None:
    assert score_item(prediction, golds, version, language) == pytest.approx(expected)


def test_means_in_percent() -> None:
    score = evaluate(["cat", "the cat sat", ""], [["cat"], ["cat"], ["dog"]], "squad-1.1")
    assert (score.exact_match, score.f1, score.count) == pytest.approx((100 / 3, 100 * (1 + 2 / 3) / 3, 3))
    assert score.em_f1 == pytest.approx((100 / 3 + 500 / 9) / 2)


def test_nothing_is_not_zero() -> None:
    score = evaluate([], [], "mlqa", "sw")
    assert math.isnan(score.exact_match)
    assert math.isnan(score.f1)
    assert math.isnan(score.em_f1)
    assert score.count == 0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a prediction for every item"):
        score_item(None, ["cat"], "squad-2.0")
    with pytest.raises(ValueError, match="without gold answer"):
        score_item("cat", [], "squad-1.1")
    with pytest.raises(ValueError, match="no language 'sw'"):
        score_item("cat", ["cat"], "mlqa", "sw")
    with pytest.raises(ValueError, match=r"no version 'squad-3'"):
        score_item("cat", ["cat"], "squad-3")
    with pytest.raises(ValueError, match="zip"):
        evaluate(["cat"], [], "squad-1.1")


@pytest.mark.parametrize(("version", "language"), EVERY)
@given(text=TEXTS, other=TEXTS)
def test_properties(version: str, language: str, text: str, other: str) -> None:
    exact, f1 = score_item(text, [other], version, language)
    same = normalise(text, version, language) == normalise(other, version, language)
    nothing = not normalise(text, version, language) and not normalise(other, version, language)
    assert exact == same
    assert 0 <= f1 <= 1
    assert f1 == pytest.approx(score_item(other, [text], version, language)[1])  # F1 knows no direction
    assert not same or f1 == (0 if nothing and version != "squad-2.0" else 1)
    assert score_item(text, [other, text], version, language)[0] == 1 or version == "squad-2.0"
