"""The library: whole parts or none, the same bytes for the same content, and damage named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts import formats
from xstilts.data.digest import digest, tokenizer_digest
from xstilts.data.library import Library
from xstilts.errors import DataError, UserError
from xstilts.task import Task

ANSWER = pa.struct([("text", pa.string()), ("start", pa.int64())])
COLUMNS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("answers", pa.list_(ANSWER)),
    ]
)
TASK = Task(name="made_up", format="span", languages=["en", "sw"], splits=["test"], counts={"sw/test": 7})


def rows(*ids: str, text: str | None = "habari") -> list[dict]:
    return [{"id": i, "text": text, "answers": [{"text": "a", "start": n}] * (n % 3)} for n, i in enumerate(ids)]


def table(*ids: str, text: str | None = "habari") -> pa.Table:
    return pa.Table.from_pylist(rows(*ids, text=text), schema=COLUMNS)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def check(content: pa.Table, task: Task) -> None:
        for row in content.to_pylist():
            if row["text"] == "forbidden":
                raise ValueError(f"{row['id']}: forbidden")

    monkeypatch.setattr(formats, "get", lambda name: SimpleNamespace(columns=COLUMNS, check=check))
    return Library(tmp_path / "library")


def test_reads_what_was_written(library: Library) -> None:
    content = table("a", "b", "c")
    library.write(TASK, "sw/test", content)
    library.finish(TASK, {"folder": "here"}, "files", complete=False, missing=["en/test"])
    assert library.read("made_up", "sw/test").equals(content)
    assert library.read("made_up", "sw/test").schema.equals(COLUMNS)
    assert library.manifest("made_up") == {
        "task": "made_up",
        "format": "span",
        "world": "files",
        "source": {"folder": "here"},
        "complete": False,
        "files": {"sw/test": {"rows": 3, "sha256": digest(content), "expected": 7}},
        "missing": ["en/test"],
    }


def test_same_content_gives_same_bytes(library: Library, tmp_path: Path) -> None:
    """However the table came to be: in chunks, sliced, with metadata, in another process."""
    plain = table("a", "b", "c")
    chunked = pa.concat_tables([table("x", "a").slice(1), plain.slice(1)]).replace_schema_metadata({"made": "by"})
    chunked = chunked.set_column(2, COLUMNS.field("answers"), pa.chunked_array(plain["answers"].chunks))
    found = []
    for number, content in enumerate((plain, chunked)):
        other = Library(tmp_path / str(number))
        other.write(TASK, "sw/test", content)
        found.append(other.path("made_up", "sw/test").read_bytes())
    assert found[0] == found[1]


def mixed(values: list[tuple[str, list[str]]]) -> pa.Table:
    schema = pa.schema([("text", pa.string()), ("list", pa.list_(pa.string()))])
    return pa.table({"text": [v[0] for v in values], "list": [v[1] for v in values]}, schema=schema)


@given(st.lists(st.tuples(st.text(), st.lists(st.text(max_size=3), max_size=3)), min_size=1, max_size=6), st.data())
def test_digest_is_of_content_not_of_layout(values: list[tuple[str, list[str]]], data: st.DataObject) -> None:
    whole = mixed(values)
    cut = data.draw(st.integers(0, len(values)))
    assert digest(pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])) == digest(whole)
    at = data.draw(st.integers(0, len(values) - 1))
    changed = list(values)
    changed[at] = (values[at][0] + "x", values[at][1])
    assert digest(mixed(changed)) != digest(whole)


def test_digest_tells_what_looks_alike() -> None:
    strings = pa.schema([("a", pa.string())])
    lists = pa.schema([("a", pa.list_(pa.string()))])
    tables = [
        pa.table({"a": ["", "ab"]}, schema=strings),
        pa.table({"a": [None, "ab"]}, schema=strings),
        pa.table({"a": ["a", "b"]}, schema=strings),
        pa.table({"a": [["a", "b"]]}, schema=lists),
        pa.table({"a": [["a"], ["b"]]}, schema=lists),
        pa.table({"a": [["ab"], []]}, schema=lists),
        pa.table({"a": [["ab"], None]}, schema=lists),
        pa.table({"a": [1, 2]}, schema=pa.schema([("a", pa.int64())])),
        pa.table({"a": [1, 2]}, schema=pa.schema([("a", pa.int32())])),
        pa.table({"b": ["a", "b"]}),
    ]
    assert len({digest(t) for t in tables}) == len(tables)


def test_what_is_not_finished_is_not_there(library: Library) -> None:
    library.write(TASK, "sw/test", table("a"))
    assert library.manifest("made_up") is None
    with pytest.raises(UserError, match=r"has no part sw/test of made_up; `do=fetch` fills it"):
        library.read("made_up", "sw/test")


def test_new_content_takes_the_old_manifest_away(library: Library) -> None:
    """Between the first new part and `finish` the old manifest would be a lie."""
    library.write(TASK, "sw/test", table("a"))
    library.write(TASK, "en/test", table("a"))
    library.finish(TASK, {}, "files", complete=True)
    library.write(TASK, "sw/test", table("a"))
    assert library.manifest("made_up") is not None
    library.write(TASK, "sw/test", table("b"))
    assert library.manifest("made_up") is None
    library.finish(TASK, {}, "files", complete=True)
    assert not library.path("made_up", "en/test").exists(), "a part of the earlier filling was left"


def test_a_kill_leaves_the_part_as_it_was(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.write(TASK, "sw/test", table("a"))
    before = library.path("made_up", "sw/test").read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        library.write(TASK, "sw/test", table("b"))
    place = library.path("made_up", "sw/test")
    assert place.read_bytes() == before
    assert [p.name for p in place.parent.iterdir()] == ["test.parquet"]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty", "other"])
def test_damage_names_the_file(library: Library, damage: str) -> None:
    library.write(TASK, "sw/test", table(*map(str, range(50))))
    library.finish(TASK, {}, "files", complete=True)
    path = library.path("made_up", "sw/test")
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(data[:40] + bytes([data[40] ^ 255]) + data[41:])
    elif damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        Library(path.parents[4] / "other").write(TASK, "sw/test", table("z"))
        path.write_bytes((path.parents[4] / "other/data/made_up/sw/test.parquet").read_bytes())
    with pytest.raises(DataError, match=r"sw/test\.parquet: .*delete it and fetch again"):
        library.read("made_up", "sw/test")


def test_a_broken_manifest_is_named(library: Library) -> None:
    library.write(TASK, "sw/test", table("a"))
    library.finish(TASK, {}, "files", complete=True)
    (library.root / "data/made_up/manifest.json").write_text('{"task": ')
    with pytest.raises(DataError, match=r"made_up/manifest\.json: is not a manifest"):
        library.manifest("made_up")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (table("a", "b", "a"), "the id 'a' is there twice"),
        (table("a", text="forbidden"), "a: forbidden"),
        (table("a").drop_columns("text"), r"its format has id: string not null, text: string"),
        (table("a").slice(1), "has no items"),
        (pa.table([pa.array(["a", None]), *table("a", "b").columns[1:]], schema=COLUMNS), "has rows without id"),
    ],
    ids=["twice", "format", "schema", "empty", "null"],
)
def test_refuses(library: Library, content: pa.Table, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        library.write(TASK, "sw/test", content)
    assert not library.path("made_up", "sw/test").exists()


def test_model_is_whole_and_described(library: Library) -> None:
    with library.write_model("tiny", {"from": "x"}, "toy", vocabulary=300) as folder:
        (folder / "tokenizer.json").write_text("{}")
        assert library.model_manifest("tiny") is None
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert (manifest["weights"], manifest["vocabulary"], manifest["world"]) == (None, 300, "toy")
    before = manifest["tokenizer"]
    with library.write_model("tiny", {"from": "y"}, "toy", vocabulary=300) as folder:
        (folder / "tokenizer.json").write_text("{}")
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert manifest["tokenizer"] == before == tokenizer_digest(library.model_folder("tiny"))
    assert manifest["weights"] is not None


def test_planning_reads_manifests_without_heavy_imports(library: Library) -> None:
    library.write(TASK, "sw/test", table("a"))
    library.finish(TASK, {}, "files", complete=True)
    code = (
        "import sys; from xstilts.data.library import Library;"
        f"assert Library({str(library.root)!r}).manifest('made_up')['files'];"
        "print([m for m in ('torch', 'pyarrow', 'numpy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
