"""As test_corrupt.py, of the readers whose data no slice has: the files are invented, in the distributions' layout."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstilts.data import parts, rows
from xstilts.data.readers import READERS, read
from xstilts.errors import DataError
from xstilts.task import Task, load

DERIVATION = "(<T S[dcl] 0 2> (<L NP PRP PRP It NP>) (<L S[dcl]\\NP VBZ VBZ rains S[dcl]\\NP>) )"
CONTEXT = {"language": "en", "text": "Rome fell.", "sentence_spans": [{"start": 0, "end": 10}]}
MENTION = {"example_id": "m{}", "entity_id": "Q1", "mention_span": {"start": 0, "end": 4, "text": "Rome"}}
ENTITY = {"entity_id": "Q{}", "title": "T", "description": "A town.", "sentence_spans": [{"start": 0, "end": 7}]}
PAIR = {"text_a": "a{}", "text_b": "b", "label": "neutral"}


def records(record: dict[str, Any], count: int = 6) -> str:
    return "".join(json.dumps(record).replace("{}", str(number)) + "\n" for number in range(count))


#: Task, part, how a file of it is named, and what is in it.
CASES = {
    "ccgbank": ("ccg", "en/train", "wsj_0001.auto", f"ID=wsj_0001.{{}} PARSER=GOLD NUMPARSE=1\n{DERIVATION}\n" * 6),
    "mewslix mentions": ("mewslix", "en/test", "m.jsonl", records({"context": CONTEXT, "mentions": [MENTION]})),
    "mewslix entities": ("mewslix", "all/candidates", "e.jsonl", records(ENTITY)),
    "mewslix pairs": (
        *("mewslix", "en/train", "p.jsonl"),
        records({"contextual_mention": {"context": CONTEXT, "mention": MENTION}, "entity": ENTITY}),
    ),
    "canonical": ("mnli.sw", "sw/train", "sw.jsonl", records({"id": "{}", **PAIR})),
    "records": ("mnli", "en/train", "0.jsonl", records({"premise": "a", "hypothesis": "b{}", "label": 1})),
    "text": ("mlm_en", "en/train", "wiki.train.raw", " = Title = \n \n A paragraph . \n Another . \n"),
}
LINES = [name for name in CASES if name != "text"]  # of running text any line is one


def said(place: Path, case: str, content: bytes, name: str | None = None) -> str:
    """What is said of a file with this content."""
    task_name, part, own, _ = CASES[case]
    task = load(task_name)
    reader = case.split(" ")[0]
    kind = "hub" if reader == "records" else "files"
    options = {} if reader == "canonical" else parts.patterns(task, kind, part)[1]
    path = place / (name or own)
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        rows.table(task, read(reader, [path], part.split("/")[0], **options))
    return str(error.value).removeprefix(f"{place}/")


def whole(case: str) -> bytes:
    return CASES[case][3].encode()


def test_every_reader_is_here_or_there() -> None:
    real = run_path(str(Path(__file__).with_name("test_corrupt.py")))
    assert {case.split(" ")[0] for case in CASES} | {*real["LINES"], *real["JSON"]} == set(READERS)


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_broken_is_read(tmp_path: Path, case: str) -> None:
    with pytest.raises(pytest.fail.Exception):
        said(tmp_path, case, whole(case))


@pytest.mark.parametrize("case", LINES)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_file_that_was_cut(tmp_path: Path, case: str, share: float) -> None:
    """In its last line, wherever."""
    content = whole(case)
    start = content.rindex(b"\n", 0, len(content) - 1) + 1
    cut = content[: start + int(share * (len(content) - 1 - start))]
    assert said(tmp_path, case, cut).startswith(f"{CASES[case][2]}:{cut.count(bytes([10])) + 1}: ")


@pytest.mark.parametrize("case", CASES)
def test_another_encoding(tmp_path: Path, case: str) -> None:
    first, end, rest = whole(case).partition(b"\n")
    assert said(tmp_path, case, first + end + b"caf\xe9 " + rest).startswith(f"{CASES[case][2]}:2: is not UTF-8")
    assert ":1: is not UTF-8" in said(tmp_path, case, whole(case).decode().encode("utf-16"))
    assert ":1: is not UTF-8" in said(tmp_path, case, gzip.compress(whole(case)))


@pytest.mark.parametrize("case", LINES)
def test_a_line_of_another_kind(tmp_path: Path, case: str) -> None:
    content = whole(case)
    assert said(tmp_path, case, content + b"{}\n").startswith(f"{CASES[case][2]}:{content.count(bytes([10])) + 1}: ")


@pytest.mark.parametrize("case", CASES)
def test_an_empty_file(tmp_path: Path, case: str) -> None:
    assert said(tmp_path, case, b"") == f"{CASES[case][2]}: is empty"


@pytest.mark.parametrize(
    ("case", "right", "wrong", "reason"),
    [
        ("canonical", "neutral", "maybe", ":1: the label 'maybe' is not one of mnli.sw's"),
        ("canonical", '"b"', "3", ":1: its text_b is 3, not string"),
        ("canonical", '"id": "1"', '"id": "0"', ":2: the id '0' is already at sw.jsonl:1"),
        ("records", '"label": 1', '"label": 7', ":1: has label 7, and there are 3, from 0"),
        ("records", '"label": 1', '"label": "neutral"', ":1: is not a record of pair: TypeError"),
        ("mewslix mentions", '"Rome"', '"Rom"', ":1: mention m0: 'Rom' is not at character 0 of the text"),
        ("mewslix mentions", '"end": 10', '"end": 3', ":1: mention m0: 'Rome' lies in no sentence"),
        ("mewslix entities", '"Q1"', '"Q0"', ":2: the id 'Q0' is already at e.jsonl:1"),
    ],
)
def test_what_does_not_belong_together(tmp_path: Path, case: str, right: str, wrong: str, reason: str) -> None:
    content = CASES[case][3].replace(right, wrong, 1)
    assert content != CASES[case][3]
    assert reason in said(tmp_path, case, content.encode())


@pytest.mark.parametrize("case", ["mewslix entities", "records"])
def test_a_compressed_file_that_was_cut(tmp_path: Path, case: str) -> None:
    content = gzip.compress(whole(case))
    assert "is not a whole archive" in said(tmp_path, case, content[: len(content) // 2], "x.jsonl.gz")
    assert "is not a whole archive" in said(tmp_path, case, whole(case), "x.jsonl.gz")


def test_an_archive_that_was_cut(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = records(ENTITY, 50).encode()
        member = tarfile.TarInfo("entities.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    for size in (20, len(buffer.getvalue()) // 3, len(buffer.getvalue()) // 2):
        cut = buffer.getvalue()[:size]
        assert "is not a whole archive" in said(tmp_path, "mewslix entities", cut, "x.tar.gz")


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


LATIN = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"caf\xe9")])


@pytest.mark.parametrize(
    ("case", "columns"),
    [
        ("records", {"premise": pa.array(["a"]), "hypothesis": pa.array(["b"]), "label": pa.array([1])}),
        ("canonical", {"text_a": pa.array(["a"]), "text_b": pa.array(["b"]), "label": pa.array(["neutral"])}),
    ],
)
def test_parquet(tmp_path: Path, case: str, columns: dict[str, pa.Array]) -> None:
    content = parquet(**columns)
    broken: dict[str, Callable[[], bytes]] = {
        "cannot be read as Parquet": lambda: content[: len(content) // 2],
        "cannot be read as Parquet (": lambda: whole(case),
        "has a text that is not UTF-8 (byte 4 of it)": lambda: parquet(**{**columns, next(iter(columns)): LATIN}),
        "label": lambda: parquet(**{name: values for name, values in columns.items() if name != "label"}),
    }
    for reason, make in broken.items():
        assert said(tmp_path, case, make(), "0.parquet").startswith("0.parquet:1: ")
        assert reason in said(tmp_path, case, make(), "0.parquet")


def test_a_part_without_rows_is_none(tmp_path: Path) -> None:
    """A shard of the hub may be empty; a part of nothing is missing, which is said where it is filled."""
    task: Task = load("mnli")
    options = parts.patterns(task, "hub", "en/train")[1]
    path = tmp_path / "0.jsonl.gz"
    path.write_bytes(gzip.compress(b""))
    assert rows.table(task, read("records", [path], "en", **options)) is None
