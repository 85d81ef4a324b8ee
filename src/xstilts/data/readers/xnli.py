"""XNLI 1.0: one tab-separated file a split with all languages in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import columns, field, lines
from xstilts.data.rows import Row


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    """The pairs of one language, in the file's order, which is the same in every language."""
    for path in paths:
        header: list[str] = []
        for number, line in lines(path):
            if not header:
                header = line.split("\t")
                for name in ("language", "gold_label", "sentence1", "sentence2"):
                    field(path, number, dict.fromkeys(header), name)
                continue
            record = columns(path, number, line, header)  # of every language: a torn line has lost its own
            if record["language"] == language:
                values = {"text_a": record["sentence1"], "text_b": record["sentence2"], "label": record["gold_label"]}
                yield Row(path, number, values)
