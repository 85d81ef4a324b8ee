"""What figures and pages show: changes against `inter=none` by language, and by tier of languages and model.

Where changes are averaged over targets, same-task pairs and retrieval are left out: there an intermediate task is more
of the same, or nothing is trained after it. An intermediate task that has no other target is shown over those it has,
and `over` says which they are.
"""

from __future__ import annotations

import pandas as pd

from xstilts.results.summary import SOURCE, changes
from xstilts.results.tiers import tier

#: What tells one way of feeding the intermediate phase from another.
FEED = ["world", "recipe", "regime", "inter"]
MODEL = ["parameters", "model"]


def by_target(frame: pd.DataFrame) -> pd.DataFrame:
    """Of a tidy table: FEED, MODEL, target, group, same_task, language, resource_gib, change, seeds, of.

    `change` is the mean over the `seeds` that have a pair, in points, of the `of` there should be; NaN where none has.
    """
    rows = changes(frame)
    rows = rows[rows["inter"] != "none"]
    keys = [*FEED, *MODEL, "target", "group", "same_task", "language", "resource_gib"]
    found = rows.groupby(keys)["change"].agg(["mean", "count", "size"]).reset_index()
    return found.rename(columns={"mean": "change", "count": "seeds", "size": "of"})


def over(rows: pd.DataFrame) -> pd.DataFrame:
    """Of `by_target`, the rows whose targets are averaged over, and in `over` their names."""
    usual = ~rows["same_task"] & (rows["group"] != "retrieval")
    other = ~rows["same_task"]
    feeds = [rows[key] for key in FEED]
    chosen = usual.where(usual.groupby(feeds).transform("any"), other)
    kept = rows[chosen.where(chosen.groupby(feeds).transform("any"), True)]
    said = kept.groupby(FEED)["target"].unique().map(lambda names: ", ".join(sorted(names))).rename("over")
    return kept.merge(said.reset_index(), on=FEED)


def by_language(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over targets: FEED, over, MODEL, language, resource_gib, change, targets, of.

    `targets` have a change in the language, `of` the targets that have the language.
    """
    keys = [*FEED, "over", *MODEL, "language", "resource_gib"]
    found = over(by_target(frame)).groupby(keys)["change"].agg(["mean", "count", "size"]).reset_index()
    return found.rename(columns={"mean": "change", "count": "targets", "size": "of"})


def by_tier(frame: pd.DataFrame, targets: bool = False) -> pd.DataFrame:
    """FEED, over, MODEL, tier, change, languages, of: means over targets of means over their languages but English.

    `languages` are distinct ones with a change in any target, `of` those that any target has. With `targets` a row each
    target instead, which then is a column.
    """
    rows = over(by_target(frame))
    rows = rows[rows["language"] != SOURCE]
    rows = rows.assign(tier=rows["resource_gib"].map(tier), there=rows["language"].where(rows["change"].notna()))
    keys = [*FEED, "over", *MODEL, "tier"]
    single = rows.groupby([*keys, "target"])["change"].mean().reset_index()
    if targets:
        return single
    counts = rows.groupby(keys).agg(languages=("there", "nunique"), of=("language", "nunique"))
    means = single.groupby(keys)["change"].mean()
    return counts.assign(change=means).reset_index()


def feeds(frame: pd.DataFrame) -> pd.Series:
    """What to call FEED of each row: the intermediate task, with regime and recipe where there are several."""
    named = frame["inter"].astype(str)
    for key in ("regime", "recipe"):
        if frame.loc[frame["inter"] != "none", key].nunique() > 1:
            named = named + " " + frame[key]
    return named
