"""Rows on their way into the library: each knows the line it came from, so that what is wrong with it can be named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.errors import DataError, choices
from xstilts.task import Task

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Row:
    """One item in the columns of its format. Without `id` it is named by its place in the part, from 0."""

    path: Path
    line: int | None  # from 1; None where a file has no lines worth the name
    values: dict[str, Any]


def table(task: Task, rows: Iterable[Row]) -> pa.Table | None:
    """The rows as a table of the task's format; None if there are none.

    Raises `DataError` naming file and line of an id that was there before, and of a label the task does not have.
    """
    import pyarrow as pa

    from xstilts import formats

    labels = set(task.labels)
    seen: dict[str, Row] = {}
    for number, row in enumerate(rows):
        name = str(row.values.setdefault("id", str(number)))
        if name in seen:
            before = seen[name]
            raise DataError(row.path, f"the id {name!r} is already at {before.path.name}:{before.line}", row.line)
        for label in _labels(row.values) if labels else ():
            if label not in labels:
                reason = f"the label {label!r} is not one of {task.name}'s; {choices(label, labels)}"
                raise DataError(row.path, reason, row.line)
        seen[name] = row
    if not seen:
        return None
    return pa.Table.from_pylist([row.values for row in seen.values()], schema=formats.get(task.format).columns)


def _labels(values: dict[str, Any]) -> list[str]:
    return values["tags"] if "tags" in values else [values["label"]]
