"""What an intermediate task changes, pair by pair: D = score(inter) - score(none), in points.

A pair is one model, target, recipe, seed, language and metric, once with the intermediate task and once without.
Pairs of which a half is missing stay, with a change of NaN, so that every mean can say of how many it should have
been.
"""

from __future__ import annotations

import pandas as pd

from xstilts.results.summary import PAIR, SOURCE, primary
from xstilts.results.tiers import tier

NONE = "none"
CONTROLS = frozenset({"mlm_en"})  # trained as long, on no task
#: What a change is a change of, seeds aside.
UNIT = ["world", "regime", "recipe", "model", "parameters", "inter", "target", "group", "language"]
FACTS = ["resource_gib", "seen", "tier", "same_task", "synthetic"]


def changes(frame: pd.DataFrame, baseline: str = NONE) -> pd.DataFrame:
    """Of a table as `xstilts.results.table` gives it: a row a UNIT and seed, inter=none not among them.

    value       the score after intermediate training, in percent, of the target's primary metric
    before      that of `baseline` with the same model, target, recipe, seed and language
    change      value - before; NaN where either is missing
    count       items behind the smaller of the two
    collapsed, diverged     of either
    stage, stage_before     the evaluations; the latter missing where nobody asked for it
    with FACTS; `tier` is high, low or unseen.
    """
    rows = primary(frame)
    found = rows[(rows["inter"] != NONE) & (rows["inter"] != baseline)]
    before = rows.loc[
        (rows["inter"] == baseline) & (rows["regime"] == "english"),
        [*PAIR, "value", "count", "collapsed", "diverged", "stage"],
    ]
    found = found.merge(before, on=PAIR, how="left", suffixes=("", "_before"), validate="many_to_one")
    found["before"] = found["value_before"]
    found["change"] = found["value"] - found["before"]
    found["count"] = found[["count", "count_before"]].min(axis=1).astype("int64")
    for flag in ("collapsed", "diverged"):
        found[flag] |= found[flag + "_before"].eq(True)
    sizes = {gib: tier(gib) for gib in found["resource_gib"].unique()}
    found["tier"] = found["resource_gib"].map(sizes).astype(object)
    scores = ["seed", "value", "before", "change", "count", "collapsed", "diverged", "stage", "stage_before"]
    return found[[*UNIT, *scores, *FACTS]].reset_index(drop=True)


def means(pairs: pd.DataFrame, by: str = "change") -> pd.DataFrame:
    """Over seeds: a row a UNIT, with `change` (NaN without any pair), `seeds` that have one and `of` that should.

    `count` is of items, the largest over seeds: one that is missing has none. `text` is how much of the language the
    model has read, in GiB; whoever measures it otherwise puts other numbers there.
    """
    found = pairs.groupby(UNIT, sort=True, observed=True).agg(
        change=(by, "mean"),
        seeds=(by, "count"),
        of=("seed", "size"),
        count=("count", "max"),
        **{fact: (fact, "first") for fact in FACTS},
    )
    return found.reset_index().assign(text=lambda rows: rows["resource_gib"])


def zero_shot(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of all languages but English, and of all intermediate tasks but controls."""
    return frame[(frame["language"] != SOURCE) & ~frame["inter"].isin(CONTROLS)]


def primary_set(frame: pd.DataFrame) -> pd.DataFrame:
    """Of these the ones that the question is asked of: transfer between different tasks.

    Without retrieval targets, which measure the encoder itself and gain from any fine-tuning; and without pairs of
    which the intermediate task trains on the target's own training data.
    """
    found = zero_shot(frame)
    return found[(found["group"] != "retrieval") & ~found["same_task"]]
