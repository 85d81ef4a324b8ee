"""Which languages count as high-resource, low-resource and unseen: by how much text of them the model has read.

By gigabytes and not by words: CC-100's published word counts split at white space, which makes Chinese, Japanese and
Thai look poor. The sizes are those of XLM-R's corpus (Conneau et al. 2020, arXiv 1911.02116, appendix A, table 6).

    unseen   0       ht qu wo yo
    low      <= 10   jv pa af sw gu eu my (not above 2 GiB, very low), mr tl te ur et kk az ml bn ms ka
    high     > 10    the other languages of XTREME-R, from ta (12.2) and lt (13.7) to en (300.8)

The bounds are ours. No language of XTREME-R lies between 9.1 and 12.2 GiB, so none is near the upper one.
"""

from __future__ import annotations

from typing import Literal

Tier = Literal["high", "low", "unseen"]
TIERS: tuple[Tier, ...] = ("high", "low", "unseen")
LOW = 10.0  # GiB, the largest that is low


def tier(gib: float) -> Tier:
    """Of the GiB of pretraining text in a language; the toy world counts thousand documents instead."""
    return "unseen" if gib <= 0 else "low" if gib <= LOW else "high"
