"""Overall scores of XTREME and XTREME-R from the tidy table, and the best intermediate task of each target.

A target's score is the mean over its suite's languages, English included, of their means over seeds; question answering
counts with the mean of exact match and F1, its primary metric. What is missing makes every mean above it NaN. A suite
has all its targets here, whoever asked for them or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import pandas as pd

from xstilts.results.summary import SOURCE, primary
from xstilts.scoring.suites import Mean, Scores, Suite

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep

#: What an overall score is not taken over.
KEYS = ["world", "parameters", "model", "inter", "regime", "recipe"]
COLUMNS = [*KEYS, "level", "name", "score", "scored", "of", "mean_of_scored", "sd", "seeds", "change"]
BEST = "best"  # the name of the choice among the intermediate tasks, in place of one of them


def overall(frame: pd.DataFrame, suite: Suite) -> pd.DataFrame:
    """Of a table as `xstilts.results.table` gives it: one row a KEYS, level and name.

    level            `task`, `group` or `overall`; name says which, of `overall` mean_of_tasks or mean_of_groups
    score            in percent; NaN unless everything is there
    scored, of       parts that have a score, and parts there should be: of tasks languages, of groups tasks
    mean_of_scored   the mean of those there are
    sd, seeds        standard deviation over the seeds that have everything (NaN below two of them), and how many
    change           score minus that of inter=none with the same world, model and recipe; NaN where either is
    """
    rows = []
    values = primary(frame[frame["target"].isin(suite.languages)])
    for key, own in values.groupby(KEYS, sort=True):
        here = _here(suite, values[values["world"] == key[0]])
        scores = here.score(_values(own))
        seeds = [_flat(here.score(_values(one))) for _, one in own.groupby("seed")]
        for (level, name), mean in _flat(scores).items():
            whole = pd.Series([seed[level, name].value for seed in seeds]).dropna()
            said = mean.value, mean.scored, mean.of, mean.of_scored, whole.std(), len(whole)
            rows.append((*key, level, name, *said))
    found = pd.DataFrame(rows, columns=COLUMNS[:-1])
    at = ["world", "model", "recipe", "level", "name"]
    none = found.loc[found["inter"] == "none", [*at, "score"]].rename(columns={"score": "none"})
    found = found.merge(none, on=at, how="left", validate="many_to_one")
    found["change"] = (found["score"] - found["none"]).where(found["inter"] != "none")
    return found[COLUMNS]


def whole(frame: pd.DataFrame, suite: Suite) -> bool:
    """Whether somebody asked for all targets of the suite with one and the same KEYS."""
    return bool(
        (frame[frame["target"].isin(suite.languages)].groupby(KEYS)["target"].nunique() == len(suite.languages)).any()
    )


def selection(store: Store, sweeps: Iterable[Sweep]) -> pd.Series:
    """The score that the last training of each cell has on its English selection data, by evaluation stage."""
    last = {cell["stages"][-1]: cell["stages"][-2] for sweep in sweeps for cell in sweep.cells if cell["stages"][1:]}
    found = {}
    for evaluation, training in last.items():
        folder = store.folder(training)
        record = folder.record() if folder.marker.exists() else None
        score = record["notes"].get("selection") if record else None
        found[evaluation] = nan if score is None else float(score)
    return pd.Series(found, dtype="float64")


def choices(frame: pd.DataFrame, suite: Suite, selected: pd.Series, oracle: bool = False) -> pd.DataFrame:
    """For each target of the suite the best of its intermediate tasks, `inter=none` not among them.

    `selected` is what `selection` gives. Columns: world, parameters, model, regime, recipe, target, and

    inter        the chosen one; missing where nothing can say
    chosen_on    `selection`: the English selection data of the target's own training. `dev`, for a target without
                 training: its English development data, or where it has no English, as pairs with English have not, all
                 its development data. `test`: the scores themselves, only for targets that have neither and only with
                 `oracle`, an upper bound. Missing where there is no choice
    criterion    the chosen one's score there, mean over seeds
    known, of    intermediate tasks that have a criterion, and all there are
    """
    among = frame[frame["target"].isin(suite.languages) & frame["primary"] & (frame["inter"] != "none")]
    at = [key for key in KEYS if key != "inter"]
    rows = []
    for key, own in among.groupby([*at, "target"]):
        inters = sorted(own["inter"].unique())
        criteria = _selected(own, selected) if key[-1] in suite.trained else _developed(own)
        chosen_on = "selection" if key[-1] in suite.trained else "dev"
        if criteria.empty and oracle and key[-1] not in suite.trained:
            criteria, chosen_on = primary(own).groupby("inter")["value"].mean().dropna(), "test"
        chosen = (None, None, nan) if criteria.empty else (criteria.idxmax(), chosen_on, criteria.max())
        rows.append((*key, *chosen, len(criteria), len(inters)))
    return pd.DataFrame(rows, columns=[*at, "target", "inter", "chosen_on", "criterion", "known", "of"])


def with_best(frame: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The table and, as `inter=best`, once more the rows of each target's chosen intermediate task."""
    keys = [*KEYS, "target"]
    best = frame.merge(chosen.loc[chosen["inter"].notna(), keys], on=keys, how="inner").assign(inter=BEST)
    return pd.concat([frame, best], ignore_index=True)


def _here(suite: Suite, rows: pd.DataFrame) -> Suite:
    """The suite with the languages of a synthetic world in the place of its own."""
    if not rows["synthetic"].all():
        return suite
    spoken = rows.groupby("target")["language"].unique()
    return replace(suite, languages={target: tuple(spoken.get(target, ())) for target in suite.languages})


def _values(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By target and language, the mean over seeds."""
    found: dict[str, dict[str, float]] = {}
    means = rows.groupby(["target", "language"], as_index=False)["value"].mean()
    for target, language, value in zip(means["target"], means["language"], means["value"], strict=True):
        found.setdefault(target, {})[language] = value
    return found


def _flat(scores: Scores) -> dict[tuple[str, str], Mean]:
    """By level and name."""
    return {
        **{("task", name): mean for name, mean in scores.targets.items()},
        **{("group", name): mean for name, mean in scores.groups.items()},
        ("overall", "mean_of_tasks"): scores.mean_of_tasks,
        ("overall", "mean_of_groups"): scores.mean_of_groups,
    }


def _selected(rows: pd.DataFrame, selected: pd.Series) -> pd.Series:
    stages = rows.drop_duplicates(["inter", "seed"])
    return stages["stage"].map(selected).groupby(stages["inter"]).mean().dropna()


def _developed(rows: pd.DataFrame) -> pd.Series:
    rows = rows[rows["split"] == "dev"]
    if (rows["language"] == SOURCE).any():
        rows = rows[rows["language"] == SOURCE]
    return rows.groupby("inter")["value"].mean().dropna()
