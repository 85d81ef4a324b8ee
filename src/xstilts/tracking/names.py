"""What is called what on a dashboard: the one list that runs are written with and dashboards are checked against.

A name ends with `/` where something follows that only a run knows: a language, a mixture's entry.
"""

from __future__ import annotations

STEP = "trainer/step"

#: Of a row of history: the key in `metrics.jsonl`, then the name.
HISTORY = {
    "step": STEP,
    "tokens": "trainer/tokens",
    "lr": "train/lr",
    "loss": "train/loss",
    "loss/": "train/loss/",
    "grad_norm": "train/grad_norm",
    "selection": "selection/mean",
    "selection/": "selection/",
}

#: Of a run's summary, with its unit.
SUMMARY = {
    "status": "done, failed, stopped, fenced or running, as the record has it",
    "rows": "of history, as the store has them",
    "attempts": "executions of the stage so far",
    "result/step": "step of the weights that count",
    "result/selection": "their score on English selection items, in percent",
    "result/collapsed": "no better than the commonest answer",
    "result/diverged": "a gradient was not finite",
    "cost/tokens": "sub-words read",
    "cost/flop": "6 N or 2 N a sub-word, N without embeddings",
    "cost/seconds": "of training, over all attempts; or of the evaluation",
    "cost/device_hours": "the same in hours of a GPU, or of a process on CPU",
    "cost/tokens_per_second": "sub-words",
    "cost/flop_per_second": "achieved: what `utilisation` is a share of",
    "cost/peak_memory_gib": "on the GPU, or of the process on CPU",
    "score/": "the target's primary metric in a language, in percent",
    "count/": "items behind it",
    "test/": "every metric in a language, as test/LANGUAGE/METRIC",
    "dev/": "likewise",
    "results/digest": "of a sweep's tables, in the run that has them",
    "results/cells": "of the sweep",
    "results/unfinished": "of these, without a result",
    "results/rows": "of the tidy table",
}

#: Of a run's configuration, beside the stage's own specification.
CONFIG = ("stage", "kind", "label", "model", "parameters", "inter", "regime", "target", "recipe", "seed", "sweeps")


def history(key: str) -> str:
    """The name of a key of `metrics.jsonl`. Raises `KeyError` for one that has none."""
    head, slash, rest = key.partition("/")
    return HISTORY[head + slash] + rest


def summary(name: str) -> str:
    """`name`, when it is one of a summary. Raises `KeyError` otherwise."""
    head, slash, rest = name.partition("/")
    if name.endswith("/") or (name not in SUMMARY and (not rest or head + slash not in SUMMARY)):
        raise KeyError(f"no summary has {name!r}")
    return name


def config(name: str) -> str:
    """`name`, when every run's configuration has it. Raises `KeyError` otherwise."""
    if name not in CONFIG:
        raise KeyError(f"no configuration has {name!r}")
    return name
