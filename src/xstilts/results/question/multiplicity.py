"""Many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted by Holm (1979), in the order given; NaN, no test, is left out and stays NaN."""
    values = np.asarray(p, float)
    order = [int(k) for k in np.argsort(values) if not np.isnan(values[k])]
    found, least = np.full(len(values), np.nan), 0.0
    for rank, k in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * values[k]))
        found[k] = least
    return found.tolist()
