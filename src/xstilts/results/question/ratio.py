"""Whether it is size, or size against the data of the intermediate training, that goes with the change.

Liu and Niehues (2025, arXiv 2510.19546) find forgetting to follow the ratio of model size to fine-tuning data size.
Here the change at low-resource languages is regressed on log10(parameters) - log10(examples), over all models and
intermediate tasks at once. Examples are the published sizes of the training sets: with a recipe of equal steps they
say how varied the data is, and with one of equal epochs how much of it there is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import yaml

from xstilts import task
from xstilts.results.question.crossed import NOTHING, Estimate, Grouping, fit
from xstilts.task import CONF


def examples(inter: str) -> float:
    """Of an intermediate task's training parts as published; NaN where a size is not, or the task is not of conf/."""
    path = CONF / "inter" / f"{inter.partition('[')[0]}.yaml"
    if not path.is_file():
        return float("nan")
    mixture = yaml.safe_load(path.read_text(encoding="utf-8")).get("mixture", [])
    tasks = [task.load(name) for entry in mixture for name in entry["tasks"]]
    return float(sum(one.counts.get(one.train or "", float("nan")) for one in tasks)) if tasks else float("nan")


def ratio(averaged: pd.DataFrame, sizes: Mapping[str, float] | None = None) -> Estimate:
    """Points at low-resource languages for ten times the parameters an example, of means over seeds.

    `sizes` are examples by intermediate task, by default the published ones. NaN where fewer than two ratios are known.
    """
    rows = averaged[(averaged["tier"] == "low") & averaged["change"].notna()]
    known = {name: (sizes or {}).get(name, examples(name)) for name in rows["inter"].unique()}
    logs = np.log10(rows["parameters"].to_numpy(float)) - np.log10(rows["inter"].map(known).to_numpy(float))
    rows, logs = rows[np.isfinite(logs)], logs[np.isfinite(logs)]
    if len(np.unique(logs)) < 2 or rows["inter"].nunique() < 2:
        return NOTHING
    levels = {name: pd.factorize(rows[name])[0] for name in ("inter", "target", "language", "model")}
    place = pd.factorize(rows["target"] + " " + rows["language"])[0]
    checkpoint = pd.factorize(rows["inter"] + " " + rows["model"])[0]
    groupings = {name: Grouping(levels[name]) for name in ("inter", "target", "language")}
    groupings |= {"checkpoint": Grouping(checkpoint), "target x language": Grouping(place)}
    x = np.column_stack([np.ones(len(rows)), logs - logs.mean()])
    return fit(rows["change"].to_numpy(float), x, groupings).estimate([0.0, 1.0])
