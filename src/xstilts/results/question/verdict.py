"""From two estimates to a word.

`harm` is what intermediate training does to low-resource languages at the smallest model, `shift` by how much that is
better at the largest one. Both in points, and what is smaller than a margin counts as nothing:

    no harm to mitigate   harm, if any, is smaller than the margin: the 95 % interval of the harm lies above it
    mitigates             there is harm, and the 95 % interval of the shift lies above 0
    worsens               it lies below 0, and there is harm at the smallest model, or else at the largest one
    does not              there is harm, and the shift is within the margin both ways: two one-sided tests at 5 %
    cannot tell           neither; in particular where the interval of the harm contains 0, or where all rests on one
                          intermediate task or one target: it does not say how others would differ; and where a fit
                          did not converge

A shift that is certain and smaller than the margin is `does not`: it changes nothing that matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xstilts.results.question.contrast import Effects
from xstilts.results.question.crossed import NOTHING, Estimate

MARGIN = 1.0  # points


class Verdict(StrEnum):
    NO_HARM = "no harm to mitigate"
    MITIGATES = "mitigates"
    DOES_NOT = "does not"
    WORSENS = "worsens"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """The word and why, in a sentence without figures that are not in the estimates."""

    verdict: Verdict
    reason: str


def judged(small: Effects, large: Effects, shift: Effects, margin: float = MARGIN) -> Judgement:
    """Of the effects at the smallest and the largest model, and of what differs between them."""
    for there, what in ((lambda e: e.inters, "intermediate task"), (lambda e: e.targets, "target")):
        if min(there(small), there(shift)) < 2:
            return Judgement(Verdict.CANNOT_TELL, f"the smallest and the largest model do not share two {what}s")
    if not (small.converged and large.converged and shift.converged):
        return Judgement(Verdict.CANNOT_TELL, "the variances could not be estimated: the fit did not converge")
    return judge(small.low, shift.low, large.low, margin)


def judge(harm: Estimate, shift: Estimate, largest: Estimate = NOTHING, margin: float = MARGIN) -> Judgement:
    """`harm` is negative where there is harm at the smallest model, `largest` where there is some at the largest one.

    `shift` is positive where the larger model has less of it.
    """
    if not (harm.se > 0 and shift.se > 0):
        return Judgement(Verdict.CANNOT_TELL, "there is not enough to estimate from")
    if largest.interval()[1] < 0 and shift.interval()[1] < 0 and not equivalent(shift, margin):
        return Judgement(Verdict.WORSENS, "the harm is larger at the largest model")
    if harm.interval()[0] > -margin:
        return Judgement(Verdict.NO_HARM, f"a harm of {margin:g} points or more at the smallest model is ruled out")
    if harm.interval()[1] >= 0:
        return Judgement(Verdict.CANNOT_TELL, "whether there is any harm at the smallest model is open")
    if equivalent(shift, margin):
        return Judgement(Verdict.DOES_NOT, f"the harm changes by less than {margin:g} points from smallest to largest")
    low, high = shift.interval()
    if low > 0:
        return Judgement(Verdict.MITIGATES, "the harm is smaller at the largest model")
    if high < 0:
        return Judgement(Verdict.WORSENS, "the harm is larger at the largest model")
    return Judgement(Verdict.CANNOT_TELL, "there is harm, and the change with scale could be nothing or could matter")


def equivalent(estimate: Estimate, margin: float) -> bool:
    """Whether two one-sided tests at 5 % place it within the margin: its 90 % interval lies inside."""
    low, high = estimate.interval(0.90)
    return -margin < low and high < margin
