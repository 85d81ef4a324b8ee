"""Nine claims about Phang et al. 2020 (arXiv 2005.13013), as a literature synthesis extracted them, tested on a table.

The claims are taken as they were worded; some differ from the paper (the best single task depends on its
version, and +5.4 is the gain of the best model a target). Each is given the number found, its
95 % interval and one of: supported, contradicted, not enough data. Means over a suite are `aggregate.overall`'s and
include English; their intervals are over seeds, Student's t, since targets and languages of a benchmark are no
sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan

import pandas as pd
from scipy import stats

from xstilts.results.aggregate import choices, overall, with_best
from xstilts.results.question.changes import CONTROLS, NONE
from xstilts.results.question.crossed import NOTHING, Estimate
from xstilts.results.question.evidence import Evidence, by_target, over_seeds

SUPPORTED, CONTRADICTED, UNKNOWN = "supported", "contradicted", "not enough data"
NINE = ("anli", "mnli", "qqp", "squad", "squad_v2", "hellaswag", "ccg", "cosmosqa", "csqa")


@dataclass(frozen=True)
class Claim:
    """One of them, and what the table says of it. `published` is what the claim says, NaN where it names no number."""

    number: int
    text: str
    what: str  # the number found is of
    value: float
    low: float
    high: float
    published: float
    verdict: str
    note: str = ""


def claims(evidence: Evidence) -> list[Claim]:
    """All nine."""
    return [claim(evidence) for claim in CLAIMS]


def _claim(number: int, text: str, what: str, estimate: Estimate, published: float, verdict: str, note: str) -> Claim:
    low, high = estimate.interval() if estimate.se > 0 else (nan, nan)
    return Claim(number, text, what, estimate.value, low, high, published, verdict, note)


def _against(estimate: Estimate, least: float = 0.0) -> str:
    """Whether an estimate is above a bound: supported, contradicted, or open."""
    if not estimate.se > 0:
        return UNKNOWN
    low, high = estimate.interval()
    return SUPPORTED if low > least else CONTRADICTED if high < least else UNKNOWN


def single_tasks(evidence: Evidence) -> Claim:
    text = "Intermediate training on SQuAD, MNLI and HellaSwag improves targets much, by 8.2, 7.5 and 7.0 points"
    table = evidence.by_seed
    there = [name for name in ("squad", "squad_v2", "mnli", "hellaswag") if name in table]
    each = {name: over_seeds(table[name]) for name in there}
    needed = {"mnli", "hellaswag"} <= set(there) and {"squad", "squad_v2"} & set(there)
    mean = over_seeds(table[there].mean(axis=1)) if needed else NOTHING
    note = "large is above 5; " + "; ".join(f"{name} {estimate.value:+z.1f}" for name, estimate in each.items())
    return _claim(1, text, "mean change over targets, of the three", mean, 7.6, _against(mean, 5.0), note)


def multitask_is_best(evidence: Evidence) -> Claim:
    text = "Multi-task intermediate training on all nine tasks performs best, by 8.7 points"
    table = evidence.by_seed
    singles = [name for name in NINE if name in table]
    if "multitask" not in table or not singles:
        return _claim(2, text, "multitask minus the best single task", NOTHING, nan, UNKNOWN, "no such cells")
    best = table[singles].mean().idxmax()
    gap = over_seeds(table["multitask"] - table[best])
    said = f"multitask {table['multitask'].mean():+z.1f}, best single task {best} {table[best].mean():+z.1f}"
    return _claim(2, text, "multitask minus the best single task", gap, nan, _against(gap), f"{said}; published +8.7")


def retrieval_gains_most(evidence: Evidence) -> Claim:
    text = "BUCC and Tatoeba, the retrieval targets without training data, gain most"
    rows = by_target(evidence.pairs).merge(evidence.pairs[["target", "group"]].drop_duplicates(), on="target")
    rows = rows.assign(retrieval=rows["group"] == "retrieval")
    table = rows.groupby(["seed", "retrieval"])["change"].mean().unstack("retrieval")
    known = {True, False} <= set(table.columns)
    gap = over_seeds(table[True] - table[False]) if known else NOTHING
    note = "retrieval targets: " + (", ".join(sorted(rows.loc[rows["retrieval"], "target"].unique())) or "none")
    return _claim(3, text, "change of retrieval minus the others", gap, nan, _against(gap), note)


def tydiqa_and_xnli(evidence: Evidence) -> Claim:
    text = "TyDiQA improves with many intermediate tasks, XNLI does not benefit"
    rows = by_target(evidence.pairs)
    rows = rows[~rows["inter"].isin(CONTROLS)]
    tydiqa, t_low, t_high, t_n = share(rows[rows["target"] == "tydiqa"])
    xnli, x_low, x_high, x_n = share(rows[rows["target"] == "xnli"])
    found = "intermediate tasks that improve TyDiQA, in percent"
    note = f"TyDiQA: of {t_n} tasks; XNLI {xnli:.0f} % [{x_low:.0f}, {x_high:.0f}] of {x_n}"
    if isnan(tydiqa) or isnan(xnli):
        verdict = UNKNOWN
    elif t_low > 50 and x_high < 50:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if t_high < 50 or x_low > 50 else UNKNOWN
    return Claim(4, text, found, tydiqa, t_low, t_high, nan, verdict, note)


def share(rows: pd.DataFrame) -> tuple[float, float, float, int]:
    """Percent of intermediate tasks with a mean change above 0, Clopper and Pearson's interval, and of how many."""
    each = rows.groupby("inter")["change"].mean().dropna()
    if each.empty:
        return nan, nan, nan, 0
    interval = stats.binomtest(int((each > 0).sum()), len(each)).proportion_ci()
    return 100 * float((each > 0).mean()), 100 * interval.low, 100 * interval.high, len(each)


def best_per_target(evidence: Evidence) -> Claim:
    text = "The best intermediate task of each target improves XTREME by 5.4 points on average"
    what = "change of the overall score, mean of tasks, best chosen on English development data"
    rows = evidence.frame[evidence.frame["model"] == evidence.model]
    if evidence.selected is None:
        return _claim(5, text, what, NOTHING, 5.4, UNKNOWN, "needs the selection scores of a store")
    chosen = choices(rows, evidence.suite, evidence.selected)
    found = []
    for _, own in rows.groupby("seed"):
        score = overall(with_best(own, chosen), evidence.suite)
        mean = score[(score["level"] == "overall") & (score["name"] == "mean_of_tasks") & (score["inter"] == "best")]
        found += mean["change"].tolist()
    estimate = over_seeds(found)
    note = f"{int(chosen['inter'].notna().sum())} of {len(evidence.suite.languages)} targets have a choice"
    return _claim(5, text, what, estimate, 5.4, _near(estimate, 5.4), note)


def _near(estimate: Estimate, published: float) -> str:
    """Supported where the published number is in the interval, contradicted where the change is not even positive."""
    if not estimate.se > 0:
        return UNKNOWN
    low, high = estimate.interval()
    return SUPPORTED if low <= published <= high else CONTRADICTED if high < 0 else UNKNOWN


def english_is_enough(evidence: Evidence) -> Claim:
    text = "English intermediate training beats continued multilingual MLM during it, and translated intermediate data"
    frame = evidence.frame[evidence.frame["model"] == evidence.model]
    rows = frame[frame["primary"] & (frame["split"] == "test") & (frame["inter"] != NONE)]
    key = ["inter", "target", "seed", "language"]
    gaps = {}
    for other in ("english_mlm", "translated"):
        both = rows[rows["regime"] == "english"].merge(rows[rows["regime"] == other], on=key)
        both["gap"] = both["value_x"] - both["value_y"]
        targets = both.groupby(["seed", "inter", "target"])["gap"].mean().groupby(["seed", "target"]).mean()
        gaps[other] = over_seeds(targets.groupby("seed").mean())
    worst = min(gaps.values(), key=lambda gap: nan if isnan(gap.value) else gap.value)
    verdicts = [_against(gap) for gap in gaps.values()]
    verdict = CONTRADICTED if CONTRADICTED in verdicts else SUPPORTED if set(verdicts) == {SUPPORTED} else UNKNOWN
    note = "; ".join(
        f"{name} {'no cells' if isnan(gap.value) else format(gap.value, '+z.1f')}" for name, gap in gaps.items()
    )
    return _claim(6, text, "English minus the better of the two others", worst, nan, verdict, note)


def starts_from_large(evidence: Evidence) -> Claim:
    text = "XLM-R Large is the starting point, the strongest model of its kind then"
    names = sorted(evidence.frame["model"].unique())
    there = "large" in names
    note = f"a method, not a finding: models here are {', '.join(names) or 'none'}; the scale axis revisits it"
    return _claim(7, text, "models with results", NOTHING, nan, SUPPORTED if there else UNKNOWN, note)


def three_phases(evidence: Evidence) -> Claim:
    text = "Three phases: a public MLM, intermediate training, target training with zero-shot evaluation"
    done = evidence.pairs[evidence.pairs["change"].notna() & (evidence.pairs["language"] != "en")]
    note = f"a method: {len(done)} zero-shot pairs of cells that name their chain of stages"
    return _claim(8, text, "zero-shot pairs", NOTHING, nan, SUPPORTED if len(done) else UNKNOWN, note)


def nine_tasks(evidence: Evidence) -> Claim:
    text = "Nine different English intermediate tasks are studied"
    there = {str(name) for name in evidence.pairs.loc[evidence.pairs["change"].notna(), "inter"].unique()}
    missing = sorted(set(NINE) - there)
    note = f"without results: {', '.join(missing)}" if missing else "all nine have results"
    count = float(len(set(NINE) & there))
    verdict = SUPPORTED if not missing else UNKNOWN
    return Claim(9, text, "of the nine tasks, with results", count, nan, nan, 9.0, verdict, note)


CLAIMS: tuple[Callable[[Evidence], Claim], ...] = (
    single_tasks,
    multitask_is_best,
    retrieval_gains_most,
    tydiqa_and_xnli,
    best_per_target,
    english_is_enough,
    starts_from_large,
    three_phases,
    nine_tasks,
)
