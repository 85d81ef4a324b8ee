"""What is true in a simulated sweep, and how much everything varies around it.

The standard deviations are assumptions, chosen by hand to be of the order that seeds and tasks vary by in published
fine-tuning results of XLM-R on XTREME (averages over languages of Phang et al. 2020, tests of 100 to 10,000 items).
They are no measurements: a real sweep has its own, which `xstilts.results.question` estimates and prints.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Truth:
    """The mean change in points by intermediate training, a model from small to large.

    Between languages it lies on a line over log GiB, through a typical low- and a typical high-resource language.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    unseen: tuple[float, ...]
    retrieval: float = 15.0  # what retrieval targets gain beside
    same_task: float = 2.0  # what more of the target's own training data gains beside


#: Known answers, by name.
TRUTHS = {
    "no harm": Truth((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "harm at every scale": Truth((-4.0, -4.0, -4.0), (-1.0, -1.0, -1.0), (-4.0, -4.0, -4.0)),
    "mitigates": Truth((-4.0, -3.0, -2.0), (-1.0, -1.0, -1.0), (-4.0, -3.0, -2.0)),
    "mitigates everywhere": Truth((-4.0, -3.0, -2.0), (-2.0, -1.0, 0.0), (-4.0, -3.0, -2.0)),
    "worsens": Truth((-4.0, -5.0, -6.0), (-1.0, -1.0, -1.0), (-4.0, -5.0, -6.0)),
    "harm by the largest alone": Truth((0.0, -2.0, -4.0), (0.0, 0.0, 0.0), (0.0, -2.0, -4.0)),
    "harm of a point": Truth((-1.0, -1.0, -1.0), (-1.0, -1.0, -1.0), (-1.0, -1.0, -1.0)),
}


@dataclass(frozen=True)
class Spread:
    """Standard deviations in points: of the change that is common to all models, and of what each model adds."""

    inter: float = 1.0
    inter_model: float = 0.5
    inter_slope: float = 0.5  # points for ten times the text
    inter_model_slope: float = 0.3
    target: float = 1.0
    target_model: float = 0.4
    target_slope: float = 0.4
    target_model_slope: float = 0.2
    language: float = 1.0
    language_model: float = 0.5
    target_language: float = 0.8
    target_language_model: float = 0.5
    inter_target: float = 1.0
    inter_target_model: float = 0.5
    inter_language: float = 0.4
    inter_language_model: float = 0.2
    checkpoint: float = 0.5  # of one intermediate training: all its targets share it
    checkpoint_slope: float = 0.3
    run: float = 0.5  # of one target training, with or without intermediate task
    run_slope: float = 0.3
    cell: float = 1.0  # of one score
    agreement: float = 0.7  # of two runs on the same items: 1 would be no noise from the choice of items

    def without(self, *names: str) -> Spread:
        """With these at 0."""
        return Spread(**{**vars(self), **dict.fromkeys(names, 0.0)})
