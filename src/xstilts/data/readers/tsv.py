"""Sentence pairs in tab-separated files with a header: PAWS-X, GLUE's QQP, XNLI's translations, AmericasNLI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xstilts.data.readers.lines import columns, field, lines
from xstilts.data.rows import Row


def read(
    paths: Sequence[Path],
    language: str,
    text_a: str = "sentence1",
    text_b: str = "sentence2",
    label: str = "label",
    id: str | None = "id",
    cut_rows: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """The columns' names are the file's. `cut_rows` leaves out rows that are shorter than the header, and `labels`
    translates the file's labels into the task's."""
    for path in paths:
        header: list[str] = []
        for number, line in lines(path):
            if not header:
                header = line.split("\t")
                for name in filter(None, (text_a, text_b, label, id)):
                    field(path, number, dict.fromkeys(header), name)
            elif not (cut_rows and line.count("\t") < len(header) - 1):
                record = columns(path, number, line, header)
                said = (labels or {}).get(record[label], record[label])
                values = {"text_a": record[text_a], "text_b": record[text_b], "label": said}
                yield Row(path, number, values | ({"id": record[id]} if id else {}))
