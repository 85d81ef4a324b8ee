"""What intermediate training changes, by family, script or resource of languages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd

from xstilts.results.summary import SOURCE

LANGUAGES = Path(__file__).parents[1] / "languages.csv"
OTHER = "other"  # languages that the table of languages has not, such as those of the toy world


@cache
def facts() -> pd.DataFrame:
    """Name, family (of Indo-European its branch) and script by language, of the languages of XTREME-R."""
    return pd.read_csv(LANGUAGES, index_col="language", keep_default_na=False)


def invented(languages: Iterable[str]) -> bool:
    """Whether they are those of the toy world: none but English is a language that we know."""
    return not {*languages} & {*facts().index} - {SOURCE}


def unit(frame: pd.DataFrame) -> str:
    """What a table's `resource_gib` counts."""
    made_up = frame["synthetic"].all() and invented(frame["language"])
    return "thousand documents" if made_up else "GiB"


def described(frame: pd.DataFrame) -> pd.DataFrame:
    """With `family` and `script` of each row's language."""
    known = facts()
    return frame.assign(**{name: frame["language"].map(known[name]).fillna(OTHER) for name in ("family", "script")})


def by(averaged: pd.DataFrame, what: str) -> pd.DataFrame:
    """Of means over seeds (`changes.means`), by `what` (family, script, tier or language): a row a model and group.

    change     mean over languages of their means over intermediate tasks and targets, in points; each counts once
    sd         over languages, NaN of one
    languages  that have any pair, `of` those there should be, and `pairs` of all seeds
    """
    rows = described(averaged)
    key = ["parameters", "model", what]
    own = key if what == "language" else [*key, "language"]
    languages = rows.groupby(own)["change"].mean()
    grouped = languages.groupby(level=key)
    pairs = rows.groupby(key)["seeds"].sum()
    found = pd.DataFrame(
        {"change": grouped.mean(), "sd": grouped.std(), "languages": grouped.count(), "of": grouped.size()}
    )
    return found.assign(pairs=pairs).reset_index()
