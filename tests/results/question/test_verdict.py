"""From two estimates to a word."""

from __future__ import annotations

import pytest

from xstilts.results.question.contrast import Effects
from xstilts.results.question.crossed import NOTHING, Estimate
from xstilts.results.question.multiplicity import holm
from xstilts.results.question.verdict import Verdict, equivalent, judge, judged


def about(value: float, se: float = 0.3) -> Estimate:
    return Estimate(value, se, 20.0)


@pytest.mark.parametrize(
    ("harm", "shift", "verdict"),
    [
        (about(-4), about(2), Verdict.MITIGATES),
        (about(-4), about(-2), Verdict.WORSENS),
        (about(-4), about(0), Verdict.DOES_NOT),
        (about(-4), about(0.3, 0.1), Verdict.DOES_NOT),  # certain, and smaller than what matters
        (about(-4), about(0.9), Verdict.MITIGATES),
        (about(-4), about(1, 2), Verdict.CANNOT_TELL),
        (about(0), about(2), Verdict.NO_HARM),
        (about(3), about(2), Verdict.NO_HARM),
        (about(-0.4, 0.1), about(2), Verdict.NO_HARM),  # certain, and smaller than what matters
        (about(-1, 1), about(2), Verdict.CANNOT_TELL),  # whether there is harm is open
        (NOTHING, about(2), Verdict.CANNOT_TELL),
        (about(-4), NOTHING, Verdict.CANNOT_TELL),
    ],
)
def test_judgement(harm: Estimate, shift: Estimate, verdict: Verdict) -> None:
    assert judge(harm, shift).verdict is verdict


@pytest.mark.parametrize("harm", [about(0), about(0.7), about(-1, 1)])
def test_a_harm_that_only_the_larger_model_does_is_no_absence_of_harm(harm: Estimate) -> None:
    assert judge(harm, about(-6), about(-6)).verdict is Verdict.WORSENS
    assert judge(harm, about(-6), about(-0.1)).verdict is not Verdict.WORSENS, "whether there is any is open"
    assert judge(harm, about(-0.5, 0.1), about(-6)).verdict is not Verdict.WORSENS, "less than what matters"


@pytest.mark.parametrize(
    ("inters", "targets", "lacking"), [(1, 7, "intermediate tasks"), (10, 1, "targets"), (2, 2, "")]
)
def test_one_task_or_one_target_in_common_does_not_say_how_others_would_differ(
    inters: int, targets: int, lacking: str
) -> None:
    def effects(estimate: Estimate, inters: int = 10, targets: int = 7) -> Effects:
        return Effects(
            estimate, *[NOTHING] * 4, rows=40, inters=inters, targets=targets, languages={"low": 4}, fit=None
        )

    harm, shift = effects(about(-4)), effects(about(2), inters, targets)
    found = judged(harm, effects(about(-2)), shift)
    assert (found.verdict is Verdict.CANNOT_TELL) == bool(lacking)
    assert lacking in found.reason


def test_the_margin_is_what_matters() -> None:
    assert judge(about(-4), about(0.9), margin=2.0).verdict is Verdict.DOES_NOT
    assert judge(about(-4), about(0.9), margin=0.1).verdict is Verdict.MITIGATES
    assert judge(about(-1.3), about(0.9), margin=2.0).verdict is Verdict.NO_HARM


def test_absence_of_harm_is_as_certain_as_a_finding() -> None:
    """One-sided 2.5 %, the custom for non-inferiority: at a harm of the margin the verdict may be wrong in two ways."""
    reach = about(0).interval()[1]
    assert judge(about(0), about(0), margin=reach * 1.01).verdict is Verdict.NO_HARM
    assert judge(about(0), about(0), margin=reach * 0.99).verdict is Verdict.CANNOT_TELL


def test_equivalence_is_two_one_sided_tests() -> None:
    reach = about(0).interval(0.90)[1]
    assert equivalent(about(0), reach * 1.01)
    assert not equivalent(about(0), reach * 0.99)
    assert not equivalent(about(0.9), 1.0)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, float("nan"), 0.001])[::2] == pytest.approx([0.5, 0.002])
    assert holm([]) == []
    assert max(holm([0.9, 0.8])) == 1.0
