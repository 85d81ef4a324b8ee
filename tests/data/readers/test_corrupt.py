"""Every reader against every way a file can be broken: refused with the file, the line where there is one, a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xstilts.data import parts, rows
from xstilts.data.readers import read
from xstilts.errors import DataError
from xstilts.task import load

#: A part of each reader that has real slices: task, part, and which of its files is broken.
LINES = {
    "bucc": ("bucc", "zh/dev", 0),
    "conllu": ("udpos", "ta/test", 0),
    "cosmos": ("cosmosqa", "en/selection", 0),
    "multiple_choice": ("copa", "en/selection", 0),
    "nli": ("mnli", "en/selection", 0),
    "panx": ("panx", "yo/dev", 0),
    "tatoeba": ("tatoeba", "jv/test", 0),
    "tsv": ("pawsx", "en/dev", 0),
    "xnli": ("xnli", "en/dev", 0),
}
JSON = {"squad": ("xquad", "en/test", 0), "lareqa": ("lareqa", "en/test", 3)}
LABELLED = {
    "conllu": (b"\tNOUN\t", b"\tNOWN\t"),
    "cosmos": (b",0\r\n", b",7\r\n"),
    "multiple_choice": (b'"label": 0', b'"label": 7'),
    "nli": (b'"gold_label": "neutral"', b'"gold_label": "maybe"'),
    "panx": (b"\tB-PER", b"\tB-PRE"),
    "tsv": (b"\t0\n", b"\t7\n"),
    "xnli": (b"\nen\tneutral\t", b"\nen\tmaybe\t"),
}

Break = Callable[[bytes], bytes]


def refused(slices: Path, tmp_path: Path, case: tuple[str, str, int], broken: Break) -> tuple[str, str]:
    """What is said of a part one of whose files was broken, and that file's name."""
    name, part, which = case
    task = load(name)
    patterns, options = parts.patterns(task, "files", part)
    found = parts.find(slices, patterns)
    assert found
    copies = [tmp_path / path.name for path in found]
    for path, copy in zip(found, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    intact = copies[which].read_bytes()
    changed = broken(intact)
    assert changed != intact
    copies[which].write_bytes(changed)
    with pytest.raises(DataError) as error:
        rows.table(task, read(task.source["files"]["reader"], copies, part.split("/")[0], **options))
    return str(error.value), copies[which].name


def cut(content: bytes) -> bytes:
    """In the middle of a line in the middle of the file."""
    start = content.index(b"\n", len(content) // 2) + 1
    while content[start : start + 1] == b"\n":
        start += 1
    return content[: start + max(1, (content.index(b"\n", start) - start) // 3)]


def latin(content: bytes) -> bytes:
    half = content.index(b"\n", len(content) // 2) if b"\n" in content[len(content) // 2 :] else len(content) // 2
    return content[: half + 1] + b"caf\xe9 " + content[half + 1 :]


def misaligned(content: bytes) -> bytes:
    """A line that is not of the format."""
    start = content.index(b"\n", len(content) // 2) + 1
    return content[:start] + b"{}\n" + content[start:]


@pytest.mark.parametrize("broken", [cut, latin, misaligned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("reader", LINES)
def test_lines(slices: Path, tmp_path: Path, reader: str, broken: Break) -> None:
    said, name = refused(slices, tmp_path, LINES[reader], broken)
    where, _, reason = said.partition(": ")
    assert name in said
    assert where.rpartition(":")[2].isdigit(), said
    assert reason


@pytest.mark.parametrize("broken", [cut, latin], ids=lambda f: f.__name__)
@pytest.mark.parametrize("reader", JSON)
def test_json_files(slices: Path, tmp_path: Path, reader: str, broken: Break) -> None:
    halved = (lambda content: content[: len(content) // 2]) if broken is cut else broken
    said, name = refused(slices, tmp_path, JSON[reader], halved)
    assert f"/{name}:" in said
    assert "is not whole JSON" in said or "is not UTF-8" in said


@pytest.mark.parametrize("reader", LABELLED)
def test_labels_that_are_none(slices: Path, tmp_path: Path, reader: str) -> None:
    right, wrong = LABELLED[reader]
    said, name = refused(slices, tmp_path, LINES[reader], lambda content: content.replace(right, wrong, 1))
    assert f"/{name}:" in said
    assert wrong.strip(b'\t\r\n,"').split(b'"')[-1].split()[-1].decode() in said


@pytest.mark.parametrize("reader", [*LINES, *JSON])
def test_empty_files(slices: Path, tmp_path: Path, reader: str) -> None:
    case = (LINES | JSON)[reader]
    said, name = refused(slices, tmp_path, case, lambda content: b"")
    reason = "is not whole JSON" if reader in JSON else "is empty"
    assert f"/{name}" in said
    assert reason in said
