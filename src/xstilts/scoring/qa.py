"""Exact match and F1 of extracted answers, to the digit of the official scripts.

Three versions of the same idea, which differ in what they call the same text and in what they do with nothing:

- `squad-1.1`: XQuAD and TyDiQA are scored by it too, in every language, so Thai and Chinese have white-space tokens;
- `squad-2.0`: an empty prediction is the answer "there is none";
- `mlqa`: punctuation of all scripts, articles of its seven languages, Chinese a character a token.

Gold and prediction that both normalise to nothing are an exact match everywhere, and F1 1 in `squad-2.0` but 0 in the
others. A missing prediction (None) scores 0, except in `squad-2.0`, which refuses it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

VERSIONS = ("squad-1.1", "squad-2.0", "mlqa")
ENGLISH_ARTICLES = "a an the"
MLQA_ARTICLES = {
    "ar": "",  # see `_without_articles`
    "de": "ein eine einen einem eines einer der die das den dem des",
    "en": ENGLISH_ARTICLES,
    "es": "un una unos unas el la los las",
    "hi": "",
    "vi": "của là cái chiếc những",
    "zh": "",
}


@dataclass(frozen=True)
class QaScore:
    """Means over items, in percent; NaN when there are none."""

    exact_match: float
    f1: float
    count: int

    @property
    def em_f1(self) -> float:
        """The mean of both, by which XTREME ranks and averages."""
        return (self.exact_match + self.f1) / 2


def evaluate(
    predictions: Sequence[str | None], golds: Sequence[Sequence[str]], version: str, language: str = "en"
) -> QaScore:
    """Scores of a part. Item i was answered with `predictions[i]` and has the acceptable answers `golds[i]`.

    `language` is that of the contexts and decides only in version `mlqa`.
    """
    exact = f1 = 0.0
    for prediction, gold in zip(predictions, golds, strict=True):
        item = score_item(prediction, gold, version, language)
        exact += item[0]
        f1 += item[1]
    count = len(predictions)
    return QaScore(100.0 * exact / count, 100.0 * f1 / count, count) if count else QaScore(nan, nan, 0)


def score_item(prediction: str | None, golds: Sequence[str], version: str, language: str = "en") -> tuple[float, float]:
    """Exact match (0 or 1) and F1 (0 to 1) against the best of the gold answers, which differ for the two.

    Raises `ValueError` where the official script stops: no gold answer outside `squad-2.0`, no prediction in it.
    """
    if prediction is None:
        if version == "squad-2.0":
            raise ValueError("squad-2.0 needs a prediction for every item; the empty string says there is no answer")
        return 0.0, 0.0
    said = normalise(prediction, version, language)
    wanted = [normalise(gold, version, language) for gold in golds]
    if version == "squad-2.0":
        wanted = [gold for gold in wanted if gold] or [""]
    if not wanted:
        raise ValueError(f"an item without gold answer cannot be scored in version {version}; squad-2.0 can")
    return float(said in wanted), max(_f1(said.split(), gold.split(), version) for gold in wanted)


def normalise(text: str, version: str, language: str = "en") -> str:
    """Lower case without punctuation and articles, tokens separated by one blank."""
    if version not in VERSIONS:
        raise ValueError(f"no version {version!r} of the QA scores: {', '.join(VERSIONS)}")
    text = text.lower()
    if version != "mlqa":
        text = "".join(c for c in text if c not in string.punctuation)
        return " ".join(_without_words(text, ENGLISH_ARTICLES).split())
    if language not in MLQA_ARTICLES:
        raise ValueError(f"MLQA's normalisation has no language {language!r}: {', '.join(MLQA_ARTICLES)}")
    # Python's own tables of Unicode, since the official script asks them
    text = "".join(c for c in text if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    text = _without_articles(text, language)
    if language == "zh":
        text = re.sub("([\u4e00-\u9fa5])", r" \1 ", text)
    return " ".join(text.split())


def _without_articles(text: str, language: str) -> str:
    """MLQA's articles. Arabic's is taken out wherever its two letters stand, inside words too: so does the script."""
    return text.replace("ال", " ") if language == "ar" else _without_words(text, MLQA_ARTICLES[language])


def _without_words(text: str, words: str) -> str:
    return re.sub(rf"\b({'|'.join(words.split())})\b", " ", text) if words else text


def _f1(said: list[str], wanted: list[str], version: str) -> float:
    """Harmonic mean of precision and recall over the two bags of tokens."""
    if version == "squad-2.0" and not (said and wanted):
        return float(said == wanted)
    same = sum((Counter(said) & Counter(wanted)).values())
    if same == 0:
        return 0.0
    precision = 1.0 * same / len(said)
    recall = 1.0 * same / len(wanted)
    return (2 * precision * recall) / (precision + recall)
