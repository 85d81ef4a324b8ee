"""Sentence pairs with a label, one JSON object a line: MultiNLI and SNLI (whose fields are the default) and ANLI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xstilts.data.readers.lines import field, json_lines
from xstilts.data.rows import Row

UNLABELLED = "-"  # annotators found no majority; published counts leave these pairs out


def read(
    paths: Sequence[Path],
    language: str,
    text_a: str = "sentence1",
    text_b: str = "sentence2",
    label: str = "gold_label",
    labels: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """`labels` translates the file's labels into the task's."""
    for path in paths:
        for number, record in json_lines(path):
            said = field(path, number, record, label)
            if said != UNLABELLED:
                values = {
                    "text_a": field(path, number, record, text_a),
                    "text_b": field(path, number, record, text_b),
                    "label": (labels or {}).get(said, said),
                }
                yield Row(path, number, values)
