"""Labels as whole numbers, in the order of the task's list."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstilts.errors import choices
from xstilts.task import Task

IGNORED = -100  # the label of a token that has none; what torch's cross entropy passes over


def codes(labels: pa.Array | pa.ChunkedArray, task: Task, item: Callable[[int], str]) -> np.ndarray:
    """The place of every label in `task.labels`, int64 [N]; `item(i)` is the id of the item that label i is of.

    Raises `ValueError` naming the item and the valid labels at the first one the task does not know.
    """
    places = pc.index_in(labels, value_set=pa.array(task.labels, labels.type))
    if places.null_count:
        at = pc.index(pc.is_null(places), True).as_py()
        label = str(labels[at].as_py())
        near = difflib.get_close_matches(label, task.labels, n=20, cutoff=0.0)  # a task may have a thousand
        raise ValueError(f"item {item(at)!r}: {task.name} has no label {label!r}; {choices(label, near)}")
    return places.to_numpy().astype(np.int64)
