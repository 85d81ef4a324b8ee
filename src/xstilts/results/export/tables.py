r"""LaTeX tables: they need `\usepackage{booktabs}` and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import nan, sqrt
from typing import Any

import pandas as pd
from scipy import stats

from xstilts.results.summary import GROUPS
from xstilts.results.views import feeds

HEADS = {"zero-shot": "all but English", "english": "English", "high": "high", "low": "low", "unseen": "unseen"}


def tables(summary: pd.DataFrame) -> dict[str, str]:
    """Of a summary of one world, by file name: `scores`, and `changes-TARGET` of each target with changes."""
    found = {"scores": scores(summary)}
    for target, rows in summary.groupby("target"):
        if (rows["inter"] != "none").any():
            found[f"changes-{target}"] = changes(rows, str(target))
    return found


def scores(summary: pd.DataFrame) -> str:
    """Zero-shot scores, a row a (model, intermediate task) and a column a target."""
    rows = summary[summary["languages"] == "zero-shot"].assign(feed=lambda r: feeds(r))
    targets = list(rows.sort_values(["group", "target"])["target"].drop_duplicates())
    lines = []
    for key, own in rows.groupby(["parameters", "model", "feed"]):
        at: dict[str, Any] = {row.target: row for row in _each(own)}
        numbers = [_number(at[t].score, at[t].n, at[t].of, ".1f") if t in at else "" for t in targets]
        lines.append([escape(str(key[1])), escape(str(key[2])), *numbers])
    caption = (
        "Zero-shot scores in percent: means over languages but English of means over seeds. In brackets of how many "
        "languages, and of how many there should be where some are missing."
    )
    return table(["model", "inter", *map(escape, targets)], lines, caption, "scores")


def changes(rows: pd.DataFrame, target: str) -> str:
    """Of one target, with 95 % intervals over seeds."""
    rows = rows[rows["inter"] != "none"].assign(feed=lambda r: feeds(r))
    lines = []
    for key, own in rows.groupby(["parameters", "model", "feed"]):
        at: dict[str, Any] = {row.languages: row for row in _each(own)}
        marks = "*" if at["zero-shot"].same_task else ""
        lines.append([escape(str(key[1])), escape(str(key[2])) + marks, *(_change(at[group]) for group in GROUPS)])
    some = rows.iloc[0]
    caption = (
        f"{target}: change of {some['metric']} on {some['split']} against no intermediate training, in points, by "
        "group of languages. In square brackets the 95 % t interval over the seeds that have all of these languages, "
        "which speaks of seeds only. In round brackets of how many languages. * the intermediate task trains on the "
        "target's own data."
    )
    return table(["model", "inter", *(HEADS[group] for group in GROUPS)], lines, escape(caption), f"changes-{target}")


def interval(mean: float, sd: float, seeds: int) -> tuple[float, float]:
    """95 %, by Student's t over seeds; NaN below two of them."""
    if seeds < 2:
        return nan, nan
    reach = float(stats.t.ppf(0.975, seeds - 1)) * sd / sqrt(seeds)
    return mean - reach, mean + reach


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A floating table with booktabs rules; a new model begins after a rule. What it is given is LaTeX already."""
    body, model = [], rows[0][0] if rows else ""
    for row in rows:
        if row[0] != model:
            body.append(r"\midrule")
            model = row[0]
        body.append(" & ".join(row) + r" \\")
    head = " & ".join(heads) + r" \\"
    lines = [r"\begin{table}", r"\centering\small", rf"\begin{{tabular}}{{ll{'r' * (len(heads) - 2)}}}", r"\toprule"]
    lines += [head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}"]
    return "\n".join([*lines, rf"\label{{tab:{label}}}", r"\end{table}", ""])


def escape(text: str) -> str:
    """Text as LaTeX shows it."""
    return re.sub(r"[&%$#_{}]", lambda found: "\\" + found[0], text.replace("\\", "/")).replace(
        "~", r"\textasciitilde{}"
    )


def _each(rows: pd.DataFrame) -> Any:
    return rows.itertuples(index=False)


def _change(mean: Any) -> str:
    low, high = interval(mean.change, mean.change_sd, mean.change_seeds)
    number = _number(mean.change, mean.change_n, mean.of, "+z.1f")
    if pd.isna(low):
        return number
    value, _, count = number.partition(" ")
    return f"{value} $[{low:z.1f}, {high:z.1f}]$ {count}"


def _number(value: float, n: int, of: int, form: str) -> str:
    if not of:
        return ""
    text = "--" if pd.isna(value) else f"${format(value, form)}$"
    return f"{text} ({n})" if n == of else f"{text} ({n}/{of})"
