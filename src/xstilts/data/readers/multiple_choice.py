"""Multiple choice, one JSON object a line: HellaSwag, CommonsenseQA, SocialIQA, COPA and XCOPA."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xstilts.data.readers.lines import json_lines
from xstilts.data.rows import Row
from xstilts.errors import DataError, UserError, choices

Values = dict[str, Any]


def read(paths: Sequence[Path], language: str, shape: str) -> Iterator[Row]:
    """`shape` says whose fields the objects have."""
    if shape not in SHAPES:
        raise UserError(f"no shape of multiple choice {shape!r}; {choices(shape, SHAPES)}")
    for path in paths:
        for number, record in json_lines(path):
            try:
                values = SHAPES[shape](record)
            except (KeyError, TypeError) as error:
                raise DataError(path, f"is not an item of {shape}: {error}", number) from None
            except ValueError as error:
                raise DataError(path, str(error), number) from None
            if not 0 <= values["label"] < len(values["choices"]):
                raise DataError(path, f"says choice {values['label']} of {len(values['choices'])}", number)
            yield Row(path, number, values)


def hellaswag(record: Values) -> Values:
    """A sentence, and the beginning of the next in the place of a question. Rows are named by their place: `ind` is
    not unique."""
    values = {"context": record["ctx_a"], "question": record["ctx_b"], "choices": record["endings"]}
    return {**values, "label": int(record["label"])}


def csqa(record: Values) -> Values:
    options = {choice["label"]: choice["text"] for choice in record["question"]["choices"]}
    return {
        "id": record["id"],
        "context": "",
        "question": record["question"]["stem"],
        "choices": list(options.values()),
        "label": _letter(record["answerKey"], list(options)),
    }


def siqa(record: Values) -> Values:
    return {
        "context": record["context"],
        "question": record["question"],
        "choices": [record[f"answer{letter}"] for letter in "ABC"],
        "label": _letter(record["correct"], ["A", "B", "C"]),
    }


def copa(record: Values) -> Values:
    """The question is cause or effect; it is asked in English in every language, as XTREME-R's script does."""
    return {
        "id": str(record["idx"]),
        "context": record["premise"],
        "question": _cause_or_effect(record["question"]),
        "choices": [record["choice1"], record["choice2"]],
        "label": record["label"],
    }


def _cause_or_effect(kind: str) -> str:
    if kind not in ("cause", "effect"):
        raise ValueError(f"asks for {kind!r}, not cause or effect")
    return f"What was the {kind}?"


def _letter(said: str, letters: list[str]) -> int:
    if said not in letters:
        raise ValueError(f"its answer is {said!r}; {choices(str(said), letters)}")
    return letters.index(said)


SHAPES: dict[str, Callable[[Values], Values]] = {
    "hellaswag": hellaswag,
    "csqa": csqa,
    "siqa": siqa,
    "copa": copa,
}
