"""Data sets as the Hugging Face hub has them, Parquet or JSON lines, turned into the rows that the originals give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xstilts.data.readers import multiple_choice as multiple
from xstilts.data.readers import squad
from xstilts.data.readers.lines import json_lines
from xstilts.data.rows import Row
from xstilts.errors import DataError, UserError, choices

Record = dict[str, Any]


def read(paths: Sequence[Path], language: str, shape: str, **options: Any) -> Iterator[Row]:
    """`shape` says what the records are, and which options there are; see `SHAPES`. Lines count records from 1."""
    if shape not in SHAPES:
        raise UserError(f"no shape of records {shape!r}; {choices(shape, SHAPES)}")
    for path in paths:
        for number, record in json_lines(path) if ".json" in path.name else _parquet(path):
            try:
                values = SHAPES[shape](record, path, language, **options)
            except (KeyError, IndexError, TypeError) as error:
                raise DataError(path, f"is not a record of {shape}: {type(error).__name__} {error}", number) from None
            except ValueError as error:
                raise DataError(path, str(error), number) from None
            if values is not None:
                yield Row(path, number, values)


def _parquet(path: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        batches = pq.ParquetFile(path).iter_batches()
        number = 0
        for batch in batches:
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        raise DataError(path, f"cannot be read as Parquet ({str(error).splitlines()[0]})") from None


def _pair(
    record: Record,
    path: Path,
    language: str,
    text_a: str,
    text_b: str,
    labels: Sequence[str],
    label: str = "label",
    id: str | None = None,
) -> Record | None:
    """Two texts and the number of a label; below 0 is unlabelled, and left out."""
    if record[label] < 0:
        return None
    values = {"text_a": record[text_a], "text_b": record[text_b], "label": labels[record[label]]}
    return values | ({"id": str(record[id])} if id else {})


def _squad(
    record: Record,
    path: Path,
    language: str,
    by_id: bool = False,
    no_answer: bool = False,
    without_xquad: bool = False,
    share: Sequence[int] = (0, 100),
) -> Record | None:
    """A question with its paragraph; options as those of the reader of SQuAD's own files."""
    if not squad.kept(record["context"], str(record["id"]), language, without_xquad, by_id, share):
        return None
    texts, starts = record["answers"]["text"], record["answers"]["answer_start"]
    answers = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    impossible = no_answer and not answers
    question = {"id": record["id"], "question": record["question"], "answers": answers, "is_impossible": impossible}
    return squad.item(path, record["context"], question)


def _tags(
    record: Record, path: Path, language: str, tags: str, labels: Sequence[str], tokens: str = "tokens"
) -> Record:
    """Words and their tags, or the numbers of their tags."""
    said = [tag if isinstance(tag, str) else labels[tag] for tag in record[tags]]
    return {"tokens": [token.strip() for token in record[tokens]], "tags": said}


def _pairs_of_sentences(record: Record, path: Path, language: str, source: str, target: str) -> Record:
    return {"source": record[source], "target": record[target]}


def _text(record: Record, path: Path, language: str, text: str = "text", headings: str = "=") -> Record | None:
    line = record[text].strip()
    return {"text": line} if line and not line.startswith(headings) else None


def _csqa(record: Record, path: Path, language: str) -> Record:
    """As the original, but for the question, whose text is not in an object with the choices."""
    both = zip(record["choices"]["label"], record["choices"]["text"], strict=True)
    options = [{"label": letter, "text": text} for letter, text in both]
    return multiple.csqa({**record, "question": {"stem": record["question"], "choices": options}})


def _siqa(record: Record, path: Path, language: str) -> Record:
    return multiple.siqa({**record, "correct": "ABC"[int(record["label"]) - 1]})


def _cosmos(record: Record, path: Path, language: str) -> Record:
    return {
        "id": record["id"],
        "context": record["context"],
        "question": record["question"],
        "choices": [record[f"answer{i}"] for i in range(4)],
        "label": record["label"],
    }


def _as_original(function: Callable[[Record], Record]) -> Callable[..., Record]:
    return lambda record, path, language: function(record)


SHAPES: dict[str, Callable[..., Record | None]] = {
    "pair": _pair,
    "squad": _squad,
    "tags": _tags,
    "sentences": _pairs_of_sentences,
    "text": _text,
    "csqa": _csqa,
    "siqa": _siqa,
    "cosmos": _cosmos,
    "hellaswag": _as_original(multiple.hellaswag),
    "copa": _as_original(multiple.copa),
}
