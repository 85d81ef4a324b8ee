"""Cosmos QA: comma-separated with quoted fields, which may hold line ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.data.readers.lines import field, lines
from xstilts.data.rows import Row
from xstilts.errors import DataError

FIELDS = ("id", "context", "question", "answer0", "answer1", "answer2", "answer3", "label")


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    for path in paths:
        records = csv.reader((f"{line}\n" for _, line in lines(path)), strict=True)
        header: list[str] = []
        try:
            for cells in records:
                number = records.line_num  # the record's last line
                if not header:
                    header = cells
                    for name in FIELDS:
                        field(path, number, dict.fromkeys(header), name)
                    continue
                if len(cells) != len(header):
                    raise DataError(path, f"has {len(cells)} fields, where the header has {len(header)}", number)
                record = dict(zip(header, cells, strict=True))
                if record["label"] not in ("0", "1", "2", "3"):
                    raise DataError(path, f"the label {record['label']!r} is not 0, 1, 2 or 3", number)
                yield Row(
                    path,
                    number,
                    {
                        "id": record["id"],
                        "context": record["context"],
                        "question": record["question"],
                        "choices": [record[f"answer{i}"] for i in range(4)],
                        "label": int(record["label"]),
                    },
                )
        except csv.Error as error:
            raise DataError(path, f"is not CSV ({error})", records.line_num) from None
