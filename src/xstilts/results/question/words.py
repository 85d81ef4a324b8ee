"""An answer in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import pandas as pd

from xstilts.results.question.answer import QUESTION, Analysis, Answer
from xstilts.results.question.changes import changes, means, primary_set
from xstilts.results.question.contrast import Effects
from xstilts.results.question.crossed import Estimate
from xstilts.results.question.tell import More, more, sparse
from xstilts.results.question.verdict import Verdict

HEADLINES = {
    Verdict.NO_HARM: "No harm to mitigate",
    Verdict.MITIGATES: "Yes: scale mitigates it",
    Verdict.DOES_NOT: "No: scale does not mitigate it",
    Verdict.WORSENS: "No: scale worsens it",
    Verdict.CANNOT_TELL: "These results cannot tell",
}


def told(found: Answer, frame: pd.DataFrame) -> tuple[list[str], str]:
    """`sentences` of an answer to the table it was found in, and `thin`."""
    one = found.primary
    pairs = primary_set(changes(found.scope.cut(frame)))
    tell = more(pairs, {one.models[-1]: 1.0, one.models[0]: -1.0}, one.shift)
    return sentences(found, tell), thin(sparse(means(pairs)))


def points(estimate: Estimate) -> str:
    """`-4.0 [-5.1, -2.9]`, or `unknown`."""
    if not estimate.se > 0:
        return "unknown"
    low, high = estimate.interval()
    return f"{estimate.value:+z.1f} [{low:+z.1f}, {high:+z.1f}]"


def headline(found: Answer) -> str:
    judgement = found.primary.judgement
    return f"{HEADLINES[judgement.verdict]}: {judgement.reason}."


def sentences(found: Answer, tell: Sequence[More] = ()) -> list[str]:
    """The verdict, what it rests on, and how far it reaches; intervals are of 95 %, changes in points."""
    one, small, large = found.primary, found.primary.models[0], found.primary.models[-1]
    first, last = one.each[small], one.each[large]
    lines = [
        QUESTION,
        headline(found),
        f"Premise: at {small}, intermediate training changes low-resource languages by {points(first.low)} points, "
        f"high-resource ones by {points(first.high)}, unseen ones by {points(first.unseen)}.",
        f"Scale: at {large} low-resource languages change by {points(last.low)}; paired cell by cell with {small}, the "
        f"shift is {points(one.shift.low)}, and {points(one.shift.unseen)} in unseen languages.",
        f"Resource: {_specific(one.shift)}",
        f"With retrieval targets and same-task pairs: {_short(found.everything)}.",
        f"Counts: {counted(one)}; recipe {found.scope.recipe}, regime {found.scope.regime}, world {found.scope.world}.",
    ]
    if one.judgement.verdict is Verdict.CANNOT_TELL and tell and not isnan(tell[0].reach):
        lines.append(_telling(tell))
    return [*lines, reach(one)]


def counted(one: Analysis) -> str:
    n = one.counts
    shift = one.shift
    return (
        f"{n.pairs} of {n.of} pairs; combinations of task, target and language at every model {n.common}, "
        f"intermediate tasks {shift.inters}, targets {shift.targets}, "
        f"low-resource languages {shift.languages.get('low', 0)}, unseen ones {shift.languages.get('unseen', 0)}"
    )


def reach(one: Analysis) -> str:
    """What the answer does not speak of."""
    said = (
        f"This speaks of {_list(one.models)} only: {len(one.models)} pretrained models are no sample of scales, "
        "and they differ in more than their size."
    )
    if one.shift.inters < 2:
        said += " Of intermediate tasks there is one: the intervals do not say how others would differ."
    if one.shift.targets < 2:
        said += " Of targets there is one: the intervals do not say how others would differ."
    return said


def _specific(shift: Effects) -> str:
    gap = shift.gap
    if not gap.se > 0:
        return "whether high-resource languages change alike is unknown."
    low, high = gap.interval()
    more = "more than" if low > 0 else "less than" if high < 0 else "neither clearly more nor clearly less than"
    return f"with scale low-resource languages gain {points(gap)} points against high-resource ones: {more} these."


def _short(one: Analysis) -> str:
    return (
        f"{one.judgement.verdict.value}; {points(one.harm)} at {one.models[0]}, shift {points(one.shift.low)} "
        f"({one.counts.pairs} of {one.counts.of} pairs)"
    )


def _telling(lines: Sequence[More]) -> str:
    each = "; ".join(f"twice the {m.what} ({m.now} now) ±{m.doubled:.1f}" for m in lines)
    return (
        f"What would tell: the shift is known to ±{lines[0].reach:.1f} points; with {each}. "
        "A model between these would not narrow it; one beyond them asks of a longer step."
    )


def thin(languages: pd.DataFrame) -> str:
    """Where more pairs would help most, of `tell.sparse`."""
    each = ", ".join(f"{row['language']} {row['pairs']}" for _, row in languages.iterrows())
    return f"Fewest combinations of task and target, at the model that has least of them: {each}."


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
