"""SQuAD 2.0's script: scores of questions with and without an answer, and the best threshold of not answering.

Where a question's probability of having no answer exceeds a threshold, its answer counts as the empty text. The best
threshold is looked for as the script does: questions are answered one after the other, the most probably answerable
first. Those of one probability are not taken together, so the best may be one that no threshold gives. An answer that
normalises to nothing is right where there is none, but the search takes it for an answer, so the best may also be below
the score at a fixed threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xstilts.scoring.qa import score_item


@dataclass(frozen=True)
class Answered:
    """Of every question, in order: what was said, whether it can be answered, and its two scores (0 to 1)."""

    said: dict[str, str]
    answerable: dict[str, bool]
    exact: dict[str, float]
    f1: dict[str, float]


def answered(golds: Iterable[tuple[str, list[str]]], said: Mapping[str, str]) -> Answered:
    """`golds` are question ids and their answers, none where there is none; every one of them needs an answer said."""
    found = Answered({}, {}, {}, {})
    for name, texts in golds:
        found.said[name] = said[name]
        found.answerable[name] = bool(texts)
        found.exact[name], found.f1[name] = score_item(said[name], texts, "squad-2.0")
    return found


def report(
    questions: Answered, no_answer: Mapping[str, float] | None = None, threshold: float = 1.0
) -> dict[str, float | int]:
    """What the official script prints, under its names, in percent.

    `no_answer` are probabilities of having no answer, of every question and perhaps of others; `threshold` is that from
    which on nothing is answered. Only with these there is a best threshold.
    """
    kept = {name: no_answer is None or no_answer[name] <= threshold for name in questions.said}
    found: dict[str, float | int] = {}
    for prefix, wanted in (("", None), ("HasAns_", True), ("NoAns_", False)):
        names = [name for name, can in questions.answerable.items() if wanted in (None, can)]
        if names:
            for metric, scores in (("exact", questions.exact), ("f1", questions.f1)):
                total = sum(scores[n] if kept[n] else float(not questions.answerable[n]) for n in names)
                found[prefix + metric] = 100.0 * total / len(names)
            found[f"{prefix}total"] = len(names)
    if no_answer is not None:
        for metric, scores in (("exact", questions.exact), ("f1", questions.f1)):
            found[f"best_{metric}"], found[f"best_{metric}_thresh"] = _best(questions, scores, no_answer)
    return found


def _best(questions: Answered, scores: Mapping[str, float], no_answer: Mapping[str, float]) -> tuple[float, float]:
    """The best score in percent, and the probability up to which questions are answered for it."""
    best = current = float(sum(not can for can in questions.answerable.values()))  # nothing answered
    threshold = 0.0
    for name in sorted((n for n in no_answer if n in scores), key=lambda n: no_answer[n]):
        if questions.answerable[name]:
            current += scores[name]
        elif questions.said[name]:
            current -= 1
        if current > best:
            best, threshold = current, no_answer[name]
    return 100.0 * best / len(scores), threshold
