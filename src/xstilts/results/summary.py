"""Means over languages, and what an intermediate task changes.

For every (world, target, model, inter, regime, recipe) the target's primary metric is averaged over a group of
languages: English, all others (zero-shot), and of those the high-resource, the low-resource and the unseen ones.

A language's score is its mean over seeds, and a group's score the mean over its languages: a language of which one
seed is missing weighs as much as the others. A change is taken between two scores of the same model, target, recipe,
seed and language, one of them with `inter=none`; then it is averaged in the same way, over the pairs there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xstilts.results.tiers import TIERS, tier

SOURCE = "en"  # every target is trained on English
GROUPS = ("english", "zero-shot", *TIERS)
#: What a mean is not taken over.
KEYS = ["world", "target", "group", "metric", "split", "parameters", "model", "inter", "regime", "recipe"]
PAIR = ["world", "model", "target", "recipe", "seed", "language"]
FLAGS = ["same_task", "collapsed", "diverged", "synthetic", "partial"]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Of a table as `xstilts.results.table` gives it: one row a KEYS and group of languages, in that order.

    languages  which group; every key has all five
    of         languages of the target in the group
    n          of these, with a score of at least one seed
    score      their mean, in percent; NaN when n is 0
    sd         standard deviation of the score over the seeds that have all n languages; NaN below two such seeds
    score_seeds   how many these are
    seeds      with any score
    change, change_n, change_sd   likewise of the paired differences, in points; NaN and 0 for inter=none
    change_seeds                  seeds that change_sd is of: those that have all change_n languages
    missing    values of (language, seed) that are not there
    same_task, collapsed, diverged, synthetic, partial   of any of the cells
    """
    rows = _grouped(changes(frame))
    keys = [*KEYS, "languages"]
    result = pd.DataFrame(
        {
            "of": rows.groupby(keys)["language"].nunique(),
            **_mean(rows, keys, "value", ("score", "n", "sd", "score_seeds")),
            "seeds": rows[rows["value"].notna()].groupby(keys)["seed"].nunique(),
            **_mean(rows, keys, "change", ("change", "change_n", "change_sd", "change_seeds")),
            "missing": rows["value"].isna().groupby([rows[key] for key in keys]).sum(),
        }
    )
    every = rows[KEYS].drop_duplicates().merge(pd.DataFrame({"languages": GROUPS}), how="cross")
    result = every.merge(result.reset_index(), on=keys, how="left")
    counts = ["of", "n", "seeds", "score_seeds", "change_n", "change_seeds", "missing"]
    result[counts] = result[counts].fillna(0).astype("int64")
    result = result.merge(rows.groupby(KEYS)[FLAGS].any().reset_index(), on=KEYS)
    place = {name: at for at, name in enumerate(GROUPS)}
    return result.sort_values(keys, key=lambda c: c.map(place) if c.name == "languages" else c, ignore_index=True)


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `primary`, and `change`: value minus that with `inter=none` of the same PAIR; NaN where either is."""
    rows = primary(frame)
    rows["change"] = rows["value"] - _baseline(rows)
    return rows


def primary(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each target's primary metric in one split: test where the target has one, else development.

    A slice of a data set may have development items alone: where no test item of the target was scored in any cell
    and some development item was, the means are of development data, and the table says so.
    """
    rows = frame[frame["primary"]]
    rank = rows["split"].map({"test": 0, "dev": 1}).fillna(2)
    target = [rows["world"], rows["target"]]
    scored = rank.where(rows["value"].notna() & rows["partial"]).groupby(target).transform("min")
    best = scored.fillna(rank.groupby(target).transform("min"))
    return rows[rank == best].reset_index(drop=True)


def _baseline(rows: pd.DataFrame) -> pd.Series:
    """For each row the value of the same cell and language with `inter=none`; NaN for these themselves."""
    none = rows.loc[rows["inter"] == "none", [*PAIR, "value"]]
    found = rows[PAIR].merge(none, on=PAIR, how="left", validate="many_to_one")["value"]
    return found.where(rows["inter"] != "none")


def _grouped(rows: pd.DataFrame) -> pd.DataFrame:
    """Every row once in each group of languages it belongs to."""
    english = rows["language"] == SOURCE
    others = rows[~english]
    return pd.concat(
        [
            rows[english].assign(languages="english"),
            others.assign(languages="zero-shot"),
            others.assign(languages=others["resource_gib"].map(tier)),
        ],
        ignore_index=True,
    )


def _mean(rows: pd.DataFrame, keys: list[str], column: str, names: Sequence[str]) -> dict[str, pd.Series]:
    """Mean over languages of means over seeds, how many languages that are, its spread over seeds, of how many."""
    languages = rows.groupby([*keys, "language"])[column].mean().groupby(keys)
    count = languages.count()
    seeds = rows.groupby([*keys, "seed"])[column].agg(["mean", "count"]).reset_index("seed", drop=True)
    whole = seeds["mean"].where((seeds["count"] == count.reindex(seeds.index)) & (seeds["count"] > 0))
    spread = whole.groupby(level=keys)
    return dict(zip(names, (languages.mean(), count, spread.std(), spread.count()), strict=True))
