"""Evaluation: every part of a target, predicted and scored; nothing is trained or selected here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

from xstilts import files, formats
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.formats.base import Format, Part, Score
from xstilts.model.encoder import Encoder
from xstilts.store import Stopped
from xstilts.task import Task
from xstilts.work import checkpoint, fit, inputs
from xstilts.work.attempt import Attempt
from xstilts.work.inference import infer
from xstilts.work.machine import Machine

SCORES = pa.schema(
    [
        ("language", pa.string()),
        ("split", pa.string()),
        ("metric", pa.string()),
        ("version", pa.string()),
        ("value", pa.float64()),
        ("count", pa.int64()),
    ]
)


def run(attempt: Attempt) -> None:
    """Evaluate what the stage says.

    Leaves `predictions/LANGUAGE.SPLIT.parquet`, one row an item, and `scores.parquet`, one row a part and metric, in
    the attempt's folder. Languages that the library does not have are not in the stage and have no row.
    """
    stage, spec = attempt.stage, attempt.stage.spec
    began = time.monotonic()
    machine = Machine.of(stage.numerics, spec["precision"])
    library = Library(stage.place["library"])
    tokenizer = inputs.tokenizer(library, stage)
    task = Task.from_dict(spec["task"])
    form = formats.get(task.format)
    tables = {
        part(name): inputs.part(library, task.name, name, known["sha256"]) for name, known in spec["parts"].items()
    }
    limits = inputs.limits(spec["limits"])
    features = {
        key: inputs.features(
            *(library, stage, task, [spec["parts"]["/".join(key)]["sha256"]], limits),
            partial(form.features, table, task, tokenizer, limits),
        )
        for key, table in tables.items()
    }

    folder = attempt.upstream("checkpoint") / "checkpoint" if "checkpoint" in stage.upstream else None
    encoder = inputs.encoder(library, stage, folder)
    encoder.check(len(tokenizer), limits.max_length)
    machine = fit.evaluating(machine, attempt, encoder, form.name, features)
    head = _head(spec, task, form, encoder, folder)
    for module in (encoder, head):
        if module is not None:
            module.to(machine.device)

    def progress(done: int, total: int) -> None:
        attempt.progress(done, total)
        if attempt.stopping():
            raise Stopped(f"after {done} of {total} tokens")

    outputs = infer(form, encoder, head, features, machine, tokenizer, spec["layer"], progress)
    with machine.device:  # where neighbours are looked for
        predictions = form.decode(outputs, features, tables, task)
    scores = form.score(predictions, task)

    attempt.check()
    with files.folder(attempt.folder / "predictions") as place:
        for (language, split), table in predictions.items():
            pq.write_table(table, place / f"{language}.{split}.parquet", compression="zstd")
    files.write_bytes(attempt.folder / "scores.parquet", _parquet(scores))
    attempt.note(
        machine=machine.facts(),
        tokens=sum(len(own.tokens) for own in features.values()),
        cut_tokens=sum(own.cut for own in features.values()),
        items=sum(table.num_rows for table in tables.values()),
        evaluate_seconds=round(time.monotonic() - began, 3),
        peak_memory=machine.peak_memory(),
    )


def part(name: str) -> Part:
    """`en/test` as a pair."""
    language, split = name.split("/")
    return language, split


def _head(spec: Mapping[str, Any], task: Task, form: Format, encoder: Encoder, folder: Path | None) -> nn.Module | None:
    """The trained head, which must be one for this task's labels; None where the format needs none."""
    name = spec["head"]
    if name is None:
        return None
    if folder is None:
        raise UserError(f"{task.name} is evaluated with the head {name}, and nothing was trained that has it")
    known = checkpoint.read_facts(folder)["heads"]
    if name not in known:
        raise UserError(f"the checkpoint {folder} has no head {name}; it has {', '.join(sorted(known))}")
    trained = known[name]
    if (trained["format"], trained["labels"]) != (task.format, task.labels):
        raise UserError(
            f"the head {name} is for {trained['format']} with labels {trained['labels']}, "
            f"and {task.name} is {task.format} with labels {task.labels}: both need the same labels in the same order"
        )
    head = form.head(task, encoder)
    checkpoint.load_head(head, name, folder)
    return head


def _parquet(scores: list[Score]) -> bytes:
    rows = [vars(score) for score in sorted(scores, key=lambda s: (s.language, s.split, s.metric, s.version))]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, SCORES), buffer)
    return buffer.getvalue().to_pybytes()
