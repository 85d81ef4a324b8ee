"""What tests of readers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.task import Task, load

Rows = list[dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small file: text, or bytes where the encoding is the point."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def part(slices: Path) -> Callable[[str, str], Rows]:
    """The rows of a part of the real slices, as the task's YAML says to read them; none where it is not there."""
    from xstilts.data import parts

    def rows(name: str, part: str) -> Rows:
        task: Task = load(name)
        patterns, options = parts.patterns(task, "files", part)
        paths = parts.find(slices, patterns)
        if not paths:
            return []
        return [r.values for r in read(task.source["files"]["reader"], paths, part.split("/")[0], **options)]

    return rows
