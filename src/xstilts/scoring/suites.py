"""XTREME and XTREME-R: their targets, languages and groups, and how these average.

A mean of which anything is missing is NaN, and says of how many parts it would be and how many there are. Two overall
scores are in use: the mean of all tasks, which XTREME's script prints, and the mean of its groups, which published
tables give too. They differ, since groups differ in size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import isnan, nan

import yaml

from xstilts import task
from xstilts.errors import UserError, choices
from xstilts.task import CONF

TITLES = {"xtreme": "XTREME", "xtreme_r": "XTREME-R"}
SUITES = tuple(TITLES)
#: Languages that a target of both suites has in XTREME-R only.
LATER = {"panx": "az gu lt pa pl qu ro uk", "tatoeba": "az lt pl ro uk", "xquad": "ro"}
#: Where XTREME's evaluate.py groups otherwise: it knows no LAReQA, and XCOPA is a group too.
SCRIPT_GROUPS = {"xtreme": {}, "xtreme_r": {"retrieval": ("tatoeba", "mewslix"), "multi_choice": ("xcopa",)}}


@dataclass(frozen=True)
class Mean:
    """Of parts that should all be there."""

    value: float  # NaN unless all are there
    of_scored: float  # of those there are; NaN of none
    scored: int
    of: int

    @classmethod
    def over(cls, values: Iterable[float]) -> Mean:
        every = list(values)
        there = [value for value in every if not isnan(value)]
        mean = sum(there) / len(there) if there else nan
        return cls(mean if len(there) == len(every) else nan, mean, len(there), len(every))


@dataclass(frozen=True)
class Scores:
    """Of one submission, or one grid: means by target, by group, and overall by both definitions."""

    targets: dict[str, Mean]
    groups: dict[str, Mean]
    mean_of_tasks: Mean
    mean_of_groups: Mean


@dataclass(frozen=True)
class Suite:
    """What belongs to a benchmark."""

    name: str
    languages: dict[str, tuple[str, ...]]  # of each target
    groups: dict[str, tuple[str, ...]]  # targets
    trained: frozenset[str]  # the targets that have a training, and so a selection score, of their own

    @property
    def script_groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that XTREME's evaluate.py has."""
        return {**self.groups, **SCRIPT_GROUPS[self.name]}

    def score(self, values: Mapping[str, Mapping[str, float]]) -> Scores:
        """`values` are the scores by target and language, NaN or absent where there is none."""
        targets = {
            name: Mean.over(values.get(name, {}).get(language, nan) for language in languages)
            for name, languages in self.languages.items()
        }
        groups = {name: Mean.over(targets[target].value for target in own) for name, own in self.groups.items()}
        overall = (Mean.over(mean.value for mean in means.values()) for means in (targets, groups))
        return Scores(targets, groups, *overall)


@cache
def load(name: str) -> Suite:
    """Of `conf/target/NAME.yaml`, whose members say their groups and tasks."""
    if name not in SUITES:
        raise UserError(f"no suite {name!r}; {choices(name, SUITES)}")
    languages: dict[str, tuple[str, ...]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    targets = {target: _target(target) for target in _target(name)["suite"]}
    for target, own in targets.items():
        later = LATER.get(target, "").split() if name == "xtreme" else []
        languages[target] = tuple(x for x in task.load(own["evaluate"]).languages if x not in later)
        groups[own["group"]] = (*groups.get(own["group"], ()), target)
    return Suite(name, languages, groups, frozenset(target for target, own in targets.items() if own["train"]))


def _target(name: str) -> dict:
    return yaml.safe_load((CONF / "target" / f"{name}.yaml").read_text(encoding="utf-8"))
