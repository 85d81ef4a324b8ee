"""Rows on their way into the library: each knows the line it came from, so that what is wrong with it can be named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.errors import DataError, UserError, choices
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

    Raises `DataError` naming file and line of an id that was there before, of a field that is missing or of another
    type, and of whatever the format does not allow, such as a label the task does not have.
    """
    from xstilts import formats

    form = formats.get(task.format)
    labels = set(task.labels)
    seen: dict[str, Row] = {}
    for number, row in enumerate(rows):
        given = row.values.get("id")
        name = row.values["id"] = str(number if given is None else given)
        if name in seen:
            before = seen[name]
            raise DataError(row.path, f"the id {name!r} is already at {before.path.name}:{before.line}", row.line)
        for label in _labels(row.values) if labels else ():
            if label not in labels:
                reason = f"the label {label!r} is not one of {task.name}'s; {choices(str(label), labels)}"
                raise DataError(row.path, reason, row.line)
        seen[name] = row
    if not seen:
        return None
    content = _table(list(seen.values()), form.columns)
    try:
        form.check(content, task)
    except ValueError as error:
        # Checks begin with the id of the item, in one of two ways.
        for name, row in seen.items():
            if str(error).startswith((f"{name}: ", f"item {name!r} ")):
                raise DataError(row.path, str(error), row.line) from None
        raise UserError(f"{task.name}: {error}") from None
    return content


def _labels(values: dict[str, Any]) -> list[str]:
    """What must be among the task's labels, as far as it is text at all: types are looked at later."""
    said = values.get("tags", [values.get("label")])
    return [label for label in said if isinstance(label, str)] if isinstance(said, list) else []


def _table(rows: list[Row], columns: pa.Schema) -> pa.Table:
    """The rows in a format's columns."""
    import pyarrow as pa

    names = set(columns.names)
    needed = [field.name for field in columns if not field.nullable]
    for row in rows:
        if unknown := set(row.values) - names:
            word = min(unknown)
            raise DataError(row.path, f"has a field {word!r}; {choices(word, names)}", row.line)
        if missing := [name for name in needed if row.values.get(name) is None]:
            raise DataError(row.path, f"has no {missing[0]}", row.line)
    try:
        return pa.Table.from_pylist([row.values for row in rows], schema=columns)
    except (pa.ArrowException, TypeError):
        for row in rows:
            for field in columns:
                try:
                    pa.array([row.values.get(field.name)], field.type)
                except (pa.ArrowException, TypeError):
                    reason = f"its {field.name} is {row.values.get(field.name)!r:.80}, not {field.type}"
                    raise DataError(row.path, reason, row.line) from None
        raise
