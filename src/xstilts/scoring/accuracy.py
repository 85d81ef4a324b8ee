"""Accuracy, and the accuracy of always giving the commonest answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

VERSION = "xtreme"  # plain: right answers over all answers, as XTREME counts XNLI, PAWS-X and XCOPA


def accuracy(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Percent of answers [N] that are the gold ones; NaN where there are none.

    Raises `ValueError` when the two are not of one length.
    """
    gold, predicted = np.asarray(gold), np.asarray(predicted)
    if gold.shape != predicted.shape:
        raise ValueError(f"{len(predicted)} answers predicted for {len(gold)} gold ones")
    return 100 * float(np.mean(gold == predicted)) if gold.size else float("nan")


def commonest(gold: ArrayLike) -> float:
    """Percent of the gold answers [N] that are the commonest one; NaN where there are none."""
    counts = np.unique(np.asarray(gold), return_counts=True)[1]
    return 100 * float(counts.max() / counts.sum()) if counts.size else float("nan")
