"""Folders laid out as the hub has them, made by hand: every data set in the columns it has there.

The columns are those of the hub's own descriptions (`dataset_infos.json` of Hugging Face's `datasets`, before loading
scripts went), the ones that no reader looks at included.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstilts.data import parts
from xstilts.task import Task, load

Row = dict[str, Any]
NLI = ["entailment", "neutral", "contradiction"]
NER, UPOS = load("panx").labels, load("udpos").labels


def _nli(row: Row) -> Row:
    return {"premise": row["text_a"], "hypothesis": row["text_b"], "label": NLI.index(row["label"])}


def _span(row: Row) -> Row:
    answers = {"text": [a["text"] for a in row["answers"]], "answer_start": [a["start"] for a in row["answers"]]}
    return {"id": row["id"], "context": row["context"], "question": row["question"], "answers": answers}


def _titled(row: Row) -> Row:
    return {**_span(row), "title": "A_title"}


def _copa(row: Row) -> Row:
    kind = row["question"].removeprefix("What was the ").removesuffix("?")
    one, two = row["choices"]
    return {
        **{"premise": row["context"], "choice1": one, "choice2": two, "question": kind},
        **{"idx": int(row["id"]), "label": row["label"]},
    }


def _csqa(row: Row) -> Row:
    letters = "ABCDE"[: len(row["choices"])]
    return {
        **{"id": row["id"], "question": row["question"], "question_concept": "thing"},
        **{"choices": {"label": list(letters), "text": row["choices"]}, "answerKey": letters[row["label"]]},
    }


def _siqa(row: Row) -> Row:
    answers = dict(zip(("answerA", "answerB", "answerC"), row["choices"], strict=True))
    return {"context": row["context"], "question": row["question"], **answers, "label": str(row["label"] + 1)}


def _cosmos(row: Row) -> Row:
    answers = {f"answer{n}": text for n, text in enumerate(row["choices"])}
    return {"id": row["id"], "context": row["context"], "question": row["question"], **answers, "label": row["label"]}


def _hellaswag(row: Row) -> Row:
    return {
        **{"ind": 7, "activity_label": "Doing", "ctx_a": row["context"], "ctx_b": row["question"]},
        **{"ctx": f"{row['context']} {row['question']}", "endings": row["choices"], "source_id": "activitynet~v_1"},
        **{"split": "train", "split_type": "indomain", "label": str(row["label"])},
    }


def _pawsx(row: Row) -> Row:
    return {
        **{"id": int(row["id"]), "sentence1": row["text_a"], "sentence2": row["text_b"]},
        **{"label": int(row["label"])},
    }


def _qqp(row: Row) -> Row:
    return {"question1": row["text_a"], "question2": row["text_b"], "label": int(row["label"]), "idx": 3}


def _ner(row: Row) -> Row:
    tags = [NER.index(tag) for tag in row["tags"]]
    return {"tokens": row["tokens"], "ner_tags": tags, "langs": ["xx"] * len(tags), "spans": []}


def _pos(row: Row) -> Row:
    return {"tokens": row["tokens"], "pos_tags": [UPOS.index(tag) for tag in row["tags"]]}


COLUMNS: dict[str, Callable[[Row], Row]] = {
    "anli": lambda row: {"uid": "u", **_nli(row), "reason": ""},
    "mnli": lambda row: {**_nli(row), "idx": 5},
    "snli": _nli,
    "xnli": _nli,
    "qqp": _qqp,
    "pawsx": _pawsx,
    "copa": _copa,
    "xcopa": lambda row: {**_copa(row), "changed": False},
    "csqa": _csqa,
    "siqa": _siqa,
    "cosmosqa": _cosmos,
    "hellaswag": _hellaswag,
    "squad": _titled,
    "squad_v2": _titled,
    "xquad": _span,
    "mlqa": _span,
    "tydiqa": _titled,
    "panx": _ner,
    "udpos": _pos,
    "udpos_v25": _pos,
    "tatoeba": lambda row: {"sentence1": row["source"], "sentence2": row["target"], "lang": "xxx-eng"},
    "mlm_en": lambda row: {"text": f" {row['text']} \n"},
    "mlm_multilingual": lambda row: {"id": "1", "url": "https://", "title": "Title", "text": f"Title\n{row['text']}\n"},
}


def published(task: Task, row: Row) -> Row:
    """A row of ours as a record of the hub's."""
    return COLUMNS[task.base](row)


def put(mirror: Path, task: Task, part: str, records: Iterable[Row], layout: str = "converted") -> list[Path]:
    """Write a part in two files a pattern, in one of the three ways that repositories of the hub are laid out."""
    every = list(records)
    wanted = parts.patterns(task, "hub", part)[0]
    folder = mirror / "datasets" / task.source["hub"]["id"]
    written = []
    for number, pattern in enumerate(wanted):
        own = every[len(every) * number // len(wanted) : len(every) * (number + 1) // len(wanted)]
        for half, piece in enumerate((own[: len(own) // 2], own[len(own) // 2 :])):
            path = folder / _name(pattern, half, layout)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, piece or own[:0])
            written.append(path)
    return written


def _name(pattern: str, half: int, layout: str) -> str:
    """Where one of two files lies that a pattern is to find."""
    if pattern.endswith("-of-*.parquet"):  # one of many files on purpose: the other is not to be found
        return pattern.replace("*", "00002").replace("00000-of", f"0000{half}-of")
    stem = pattern.removesuffix("*").replace("*/", "data/" if layout == "main" else "default/")
    tails = {"converted": f"/000{half}.parquet", "main": f"-0000{half}-of-00002.parquet", "json": f"{half}.jsonl.gz"}
    return stem + tails[layout]


def write(path: Path, records: list[Row]) -> None:
    """Parquet or compressed JSON lines, by the file's name."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))
    else:
        pq.write_table(pa.Table.from_pylist(records), path)
