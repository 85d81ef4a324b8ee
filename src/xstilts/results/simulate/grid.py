"""The grid of a simulated sweep: what conf/ says of models, targets and tasks, in the size of XTREME-R."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import yaml

from xstilts import task
from xstilts.scoring.suites import load
from xstilts.task import CONF

MODELS = ("base", "large", "xl")
INTERS = ("none", "anli", "mnli", "qqp", "squad", "squad_v2", "hellaswag", "ccg", "cosmosqa", "csqa", "multitask")
ITEMS = 500  # of a part whose published size depends on the release


@dataclass(frozen=True)
class Grid:
    """What is swept. The default is 3 models x 11 intermediate tasks x 10 targets x 50 languages x 5 seeds."""

    models: tuple[str, ...] = MODELS
    inters: tuple[str, ...] = INTERS  # none is needed: changes are taken against it
    targets: tuple[str, ...] = tuple(load("xtreme_r").languages)
    seeds: int = 5
    recipe: str = "matched"

    @property
    def seen(self) -> dict[str, dict[str, float]]:
        """GiB of pretraining text by model and language."""
        return {name: dict(conf("seen", conf("model", name)["seen"])) for name in self.models}

    def parts(self) -> pd.DataFrame:
        """A row a (target, language): group, metric, items of the test set, English included."""
        rows = []
        for name in self.targets:
            own = conf("target", name)
            data = task.load(own["evaluate"])
            rows += [
                (name, language, own["group"], data.metric, data.counts.get(f"{language}/test", ITEMS))
                for language in data.languages
            ]
        return pd.DataFrame(rows, columns=["target", "language", "group", "metric", "count"])

    def rows(self) -> pd.DataFrame:
        """The product of models, inters, seeds and parts, with what conf/ knows of each."""
        return _rows(self).copy()

    def _product(self) -> pd.DataFrame:
        frame = self.parts()
        for name, values in (("seed", range(self.seeds)), ("inter", self.inters), ("model", self.models)):
            frame = pd.DataFrame({name: pd.Series([*values])}).merge(frame, how="cross")
        seen, same = self.seen, {name: set(conf("target", name)["same_task"]) for name in self.targets}
        gib = {(m, x): seen[m].get(x, 0.0) for m in self.models for x in frame["language"].unique()}
        known = {(i, t): i in same[t] for i in self.inters for t in self.targets}
        frame["resource_gib"] = [gib[pair] for pair in zip(frame["model"], frame["language"], strict=True)]
        frame["same_task"] = [known[pair] for pair in zip(frame["inter"], frame["target"], strict=True)]
        frame["parameters"] = frame["model"].map({name: conf("model", name)["parameters"] for name in self.models})
        return frame


@cache
def _rows(grid: Grid) -> pd.DataFrame:
    """Made once a grid: simulating hundreds of sweeps would spend most of its time here."""
    return grid._product()


@cache
def conf(kind: str, name: str) -> dict[str, Any]:
    """A file of conf/."""
    return dict(yaml.safe_load((CONF / kind / f"{name}.yaml").read_text(encoding="utf-8")))
