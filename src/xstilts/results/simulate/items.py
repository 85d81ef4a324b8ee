"""Predictions of a simulated sweep, item by item, of targets that are right or wrong an item.

Whether an item is answered rightly depends on how hard it is, the same in all languages; on what is hard about it in a
language, and in languages of the same script; and on the run. The shares are assumptions like those of `truth`.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm

TARGETS = ("xnli", "xcopa", "xquad", "mlqa", "tydiqa")
#: Parts of the variance of what decides an item; the rest is the run's.
ITEM, SCRIPT, LANGUAGE = 0.40, 0.15, 0.15
#: Scripts of XTREME-R's languages that are not Latin.
SCRIPTS = {
    "arabic": "ar fa ur", "cyrillic": "bg kk ru uk", "devanagari": "hi mr", "han": "zh ja", "greek": "el",
    "hebrew": "he", "thai": "th", "korean": "ko", "bengali": "bn", "dravidian": "ta te ml", "georgian": "ka",
    "burmese": "my", "gujarati": "gu", "gurmukhi": "pa",
}  # fmt: skip


def script(language: str) -> str:
    return next((name for name, own in SCRIPTS.items() if language in own.split()), "latin")


def right(target: str, language: str, count: int, value: float, run: int) -> NDArray[np.bool_]:
    """[count]: which items a run of that score, in percent, answers rightly."""
    z = np.sqrt(ITEM) * _normal(count, target) + np.sqrt(SCRIPT) * _normal(count, target, script(language))
    z += np.sqrt(LANGUAGE) * _normal(count, target, "language", language)
    z += np.sqrt(1 - ITEM - SCRIPT - LANGUAGE) * _normal(count, target, language, str(run))
    return np.asarray(z < norm.ppf(value / 100))


def predictions(target: str, metric: str, answers: NDArray[np.bool_]) -> pa.Table:
    """As an evaluation writes them: id, prediction, gold."""
    ids = pa.array([f"{target}-{k}" for k in range(len(answers))])
    said = pa.array(np.where(answers, "yes", "no"))
    gold = [["yes"]] * len(answers) if metric == "em_f1" else ["yes"] * len(answers)
    return pa.table({"id": ids, "prediction": said, "gold": pa.array(gold)})


def _normal(count: int, *names: str) -> NDArray[np.float64]:
    return np.random.default_rng(crc32(" ".join(names).encode())).normal(size=count)
