"""A whole submission in XTREME's layout, scored as its evaluate.py does, and said what of it is missing."""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

from xstilts.errors import UserError
from xstilts.scoring import suites
from xstilts.scoring.asked import Asked, Found
from xstilts.scoring.metrics import METRICS
from xstilts.scoring.suites import SUITES, Mean, Scores, Suite

__all__ = ["LAYOUT", "SUITES", "score"]

FOLDERS = {"bucc": "bucc2018", "udpos_v25": "udpos"}  # where XTREME's name of a target is not ours
#: Metric of the command line and end of the files' names, by folder.
FILES = {
    "xnli": ("accuracy", "tsv"),
    "pawsx": ("accuracy", "tsv"),
    "xcopa": ("accuracy", "jsonl"),
    "udpos": ("f1", "tsv"),
    "panx": ("f1", "tsv"),
    "xquad": ("xquad", "json"),
    "mlqa": ("mlqa", "json"),
    "tydiqa": ("tydiqa", "json"),
    "bucc2018": ("bucc", "tsv"),
    "tatoeba": ("tatoeba", "tsv"),
    "mewslix": ("mrr20", "json"),
    "lareqa": ("map20", "json"),
}
LAYOUT = """\
predictions: a folder with TASK/test-LANGUAGE.END; references: a folder of the same names
TASK.END and the metric that each file is read for:
""" + "\n".join(f"  {folder:9}.{end:5}  {metric}" for folder, (metric, end) in FILES.items())
#: Of a metric's result, what is no score to average.
_NO_SCORE = {"version", "count", "missing", "unknown", "bracketed", "extracted"}


def score(name: str, predictions: Path, references: Path) -> dict[str, Any]:
    """Scores by task and language, by group and overall, of the suite `name`.

    A language without file of predictions or of references is missing, and so is every mean over it. Raises `UserError`
    where there is no folder or nothing of the suite in it, and where a file is malformed.
    """
    suite = suites.load(name)
    for folder in (predictions, references):
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}")
    found = {target: _languages(target, suite, predictions, references) for target in suite.languages}
    if not any(found.values()):
        places = ", ".join(f"{FOLDERS.get(t, t)}/test-xx.{FILES[FOLDERS.get(t, t)][1]}" for t in suite.languages)
        raise UserError(f"{predictions} and {references} have no file in common, of {places}")
    values = {target: {x: result["value"] for x, result in own.items()} for target, own in found.items()}
    scores = suite.score(values)
    tasks = {
        FOLDERS.get(target, target): _task(target, suite, scores, own, predictions) for target, own in found.items()
    }
    return {
        "suite": name,
        "overall": {
            "mean_of_tasks": _mean(scores.mean_of_tasks),
            "mean_of_groups": _mean(scores.mean_of_groups),
        },
        "groups": {
            group: {**_mean(scores.groups[group]), "tasks": [FOLDERS.get(target, target) for target in targets]}
            for group, targets in suite.groups.items()
        },
        "evaluate_py": _script(suite, scores),
        "tasks": tasks,
    }


def _languages(target: str, suite: Suite, predictions: Path, references: Path) -> dict[str, Found]:
    """What was found for every language that both folders have."""
    folder = FOLDERS.get(target, target)
    metric, end = FILES[folder]
    found = {}
    for language in suite.languages[target]:
        said, gold = (place / folder / f"test-{language}.{end}" for place in (predictions, references))
        if said.is_file() and gold.is_file():
            found[language] = METRICS[metric].score(Asked([said], gold, language))
    return found


def _task(target: str, suite: Suite, scores: Scores, found: dict[str, Found], predictions: Path) -> dict[str, Any]:
    folder = FOLDERS.get(target, target)
    metric, end = FILES[folder]
    languages = suite.languages[target]
    there = {x: (predictions / folder / f"test-{x}.{end}").is_file() for x in languages if x not in found}
    names = [name for name in next(iter(found.values()), {}) if name not in _NO_SCORE | {"value"}]
    averages = {name: Mean.over(found.get(x, {}).get(name, nan) for x in languages).value for name in names}
    return {
        **_mean(scores.targets[target]),
        "metric": metric,
        "averages": averages,
        "missing": {x: "references" if said else "predictions" for x, said in there.items()},
        "languages": found,
    }


def _mean(mean: Mean) -> dict[str, Any]:
    return {"score": mean.value, "scored": mean.scored, "of": mean.of, "mean_of_scored": mean.of_scored}


def _script(suite: Suite, scores: Scores) -> dict[str, float]:
    """What evaluate.py prints: its groups of whole tasks, and `all_task`, which it never has for XTREME-R."""
    groups = {
        group: Mean.over(scores.targets[target].value for target in targets).value
        for group, targets in suite.script_groups.items()
    }
    return {"all_task": scores.mean_of_tasks.value, **groups} if suite.name == "xtreme" else groups
