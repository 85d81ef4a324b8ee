"""Data sets as the Hugging Face hub has them, Parquet or JSON lines, turned into the rows that the originals give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.readers import lareqa, squad
from xstilts.data.readers import multiple_choice as multiple
from xstilts.data.readers.lines import json_lines
from xstilts.data.rows import Row
from xstilts.errors import DataError, UserError, choices

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]
#: A record in the columns of its format, several of them, or none.
Items = Record | Iterator[Record] | None


def read(paths: Sequence[Path], language: str, shape: str, **options: Any) -> Iterator[Row]:
    """`shape` says what the records are, and which options there are; see `SHAPES`. Lines count records from 1."""
    if shape not in SHAPES:
        raise UserError(f"no shape of records {shape!r}; {choices(shape, SHAPES)}")
    for path in paths:
        for number, record in records(path):
            try:
                items = SHAPES[shape](record, language, **options)
                found = [items] if isinstance(items, dict) else items or ()
                yield from (Row(path, number, values) for values in found)
            except (KeyError, IndexError, TypeError, AttributeError) as error:
                raise DataError(path, f"is not a record of {shape}: {type(error).__name__} {error}", number) from None
            except ValueError as error:
                raise DataError(path, str(error), number) from None


def records(path: Path) -> Iterator[tuple[int, Record]]:
    """Number (from 1) and content of every record of a file, by its name JSON lines or Parquet."""
    return json_lines(path) if ".json" in path.name else _parquet(path)


def _parquet(path: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches():
            for record in _plain(path, batch, number):
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        raise DataError(path, f"cannot be read as Parquet ({str(error).splitlines()[0]})", number + 1) from None


def _plain(path: Path, batch: pa.RecordBatch, before: int) -> list[Record]:
    """The records of a batch that has so many before it."""
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        for number in range(len(batch)):
            try:
                batch.slice(number, 1).to_pylist()
            except UnicodeDecodeError as error:
                reason = f"has a text that is not UTF-8 (byte {error.start + 1} of it)"
                raise DataError(path, reason, before + number + 1) from None
        raise


def _pair(
    record: Record,
    language: str,
    text_a: str,
    text_b: str,
    labels: Sequence[str],
    label: str = "label",
    id: str | None = None,
) -> Items:
    """Two texts and the number of a label; -1 is unlabelled, and left out."""
    if record[label] == -1:
        return None
    values = {"text_a": record[text_a], "text_b": record[text_b], "label": _named(record[label], labels)}
    return values | ({"id": str(record[id])} if id else {})


def _squad(
    record: Record,
    language: str,
    by_id: bool = False,
    no_answer: bool = False,
    without_xquad: bool = False,
    share: Sequence[int] = (0, 100),
) -> Items:
    """A question with its paragraph; options as those of the reader of SQuAD's own files."""
    if not squad.kept(record["context"], str(record["id"]), language, without_xquad, by_id, share):
        return None
    texts, starts = record["answers"]["text"], record["answers"]["answer_start"]
    answers = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    impossible = no_answer and not answers
    question = {"id": record["id"], "question": record["question"], "answers": answers, "is_impossible": impossible}
    return squad.item(record["context"], question)


def _squad_pair(record: Record, language: str, **options: Any) -> Items:
    """A question with the sentence that answers it, as the reader of LAReQA makes them of SQuAD's own files."""
    values = _squad(record, language, **options)
    return lareqa.pair(values) if isinstance(values, dict) else None


def _tags(record: Record, language: str, tags: str, labels: Sequence[str], tokens: str = "tokens") -> Items:
    """Words and their tags, or the numbers of their tags."""
    said = [tag if isinstance(tag, str) else _named(tag, labels) for tag in record[tags]]
    return {"tokens": [token.strip() for token in record[tokens]], "tags": said}


def _pairs_of_sentences(record: Record, language: str, source: str, target: str) -> Items:
    return {"source": record[source], "target": record[target]}


def _pools(record: Record, language: str) -> Iterator[Record]:
    """All of a language of BUCC in one record: both sides, and the pairs by place from 1. Named as in its own files."""
    sides = {"source": (language, record["sentence1"]), "target": ("en", record["sentence2"])}
    translation: dict[str, str] = {}
    for places in record["gold"]:
        for place, (_, texts) in zip(places, sides.values(), strict=True):
            if not 0 < place <= len(texts):
                raise ValueError(f"pairs sentence {place} of {len(texts)}")
        left, right = (f"{code}-{place:09d}" for place, (code, _) in zip(places, sides.values(), strict=True))
        translation[left], translation[right] = right, left
    for side, (code, texts) in sides.items():
        for place, text in enumerate(texts, 1):
            name = f"{code}-{place:09d}"
            yield {"id": name, "side": side, "text": text, "pair": translation.get(name)}


def _text(record: Record, language: str, text: str = "text", headings: str = "=") -> Items:
    """A record a paragraph."""
    line = record[text].strip()
    return {"text": line} if line and not line.startswith(headings) else None


def _article(record: Record, language: str, text: str = "text", least: int = 1) -> Items:
    """A record an article: its lines of at least so many characters, which leaves headings out."""
    return ({"text": line.strip()} for line in record[text].split("\n") if len(line.strip()) >= least)


def _csqa(record: Record, language: str) -> Items:
    """As the original, but for the question, whose text is not in an object with the choices."""
    both = zip(record["choices"]["label"], record["choices"]["text"], strict=True)
    options = [{"label": letter, "text": text} for letter, text in both]
    return multiple.csqa({**record, "question": {"stem": record["question"], "choices": options}})


def _siqa(record: Record, language: str) -> Items:
    """As the original, but for the answer, which is a number from 1."""
    return multiple.siqa({**record, "correct": dict(zip("123", "ABC", strict=True)).get(str(record["label"]))})


def _cosmos(record: Record, language: str) -> Items:
    return {
        "id": record["id"],
        "context": record["context"],
        "question": record["question"],
        "choices": [record[f"answer{i}"] for i in range(4)],
        "label": record["label"],
    }


def _as_original(function: Callable[[Record], Record]) -> Callable[..., Items]:
    return lambda record, language: function(record)


def _named(number: int, labels: Sequence[str]) -> str:
    if not 0 <= number < len(labels):
        raise ValueError(f"has label {number}, and there are {len(labels)}, from 0")
    return labels[number]


SHAPES: dict[str, Callable[..., Items]] = {
    "pair": _pair,
    "squad": _squad,
    "squad_pair": _squad_pair,
    "tags": _tags,
    "sentences": _pairs_of_sentences,
    "pools": _pools,
    "text": _text,
    "article": _article,
    "csqa": _csqa,
    "siqa": _siqa,
    "cosmos": _cosmos,
    "hellaswag": _as_original(multiple.hellaswag),
    "copa": _as_original(multiple.copa),
}
