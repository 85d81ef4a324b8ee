"""Question answering from files, as SQuAD's, XTREME's and MLQA's scripts score it."""

from __future__ import annotations

from collections.abc import Callable

from xstilts.errors import DataError, UserError
from xstilts.scoring import inputs, no_answer, qa
from xstilts.scoring.asked import Asked, Found


def squad(version: str) -> Callable[[Asked], Found]:
    """SQuAD 1.1's way, in which a question without answer scores 0."""

    def score(asked: Asked) -> Found:
        language = asked.language or "en"
        if version == "mlqa" and asked.language not in qa.MLQA_ARTICLES:
            said = f"has no language {language!r}" if asked.language else "needs --language, that of the contexts"
            raise UserError(f"mlqa {said}; one of {', '.join(qa.MLQA_ARTICLES)}")
        questions, said_ = inputs.questions(asked.references), inputs.answers(asked.file)
        for question in questions:
            if not question.answers and question.id in said_:
                raise DataError(asked.references, f"question {question.id} has no answer: only squad_v2 scores that")
        result = qa.evaluate([said_.get(q.id) for q in questions], [q.answers for q in questions], version, language)
        known = {question.id for question in questions}
        return {
            "version": version,
            "value": result.em_f1,
            "exact_match": result.exact_match,
            "f1": result.f1,
            "em_f1": result.em_f1,
            "count": result.count,
            "missing": sum(question.id not in said_ for question in questions),
            "unknown": len(said_.keys() - known),
        }

    return score


def squad_v2(asked: Asked) -> Found:
    questions, said = inputs.questions(asked.references), inputs.answers(asked.file)
    probability = inputs.probabilities(asked.na_prob) if asked.na_prob else None
    for path, known in ((asked.file, said), (asked.na_prob, probability)):
        missing = [question.id for question in questions if known is not None and question.id not in known]
        if missing:
            raise DataError(
                path or "",
                f"has nothing for question {missing[0]} and {len(missing) - 1} more; SQuAD 2.0's script needs every "
                "question, and the empty text says that there is no answer",
            )
    golds = [(question.id, question.answers) for question in questions]
    found = no_answer.report(no_answer.answered(golds, said), probability, asked.na_prob_thresh)
    value = (found["exact"] + found["f1"]) / 2
    unknown = len(said.keys() - {name for name, _ in golds})
    shown = {"version": "squad-2.0", "value": value, **found, "em_f1": value}
    return {**shown, "count": found["total"], "unknown": unknown}
