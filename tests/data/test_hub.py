"""World hub: from a mirror made by hand, the library is the same byte for byte as from the original files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstilts.data import files, hub, parts, stale
from xstilts.data.library import Library
from xstilts.data.readers import read
from xstilts.errors import DataError, UserError
from xstilts.task import Task, load

NLI = ["entailment", "neutral", "contradiction"]
TAGS = load("panx").labels


def world(mirror: Path | None, complete: bool = False) -> dict[str, Any]:
    return {"name": "hub", "kind": "hub", "complete": complete, "mirror": str(mirror) if mirror else None}


def put(mirror: Path, task: Task, part: str, records: Iterable[dict[str, Any]]) -> None:
    """Write a part as the hub has it, in two files."""
    pattern = parts.patterns(task, "hub", part)[0][0]
    folder = (mirror / "datasets" / task.source["hub"]["id"] / pattern).parent
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(records))
    cut = table.num_rows // 2
    for number, piece in enumerate((table.slice(0, cut), table.slice(cut))):
        pq.write_table(piece, folder / f"000{number}.parquet")


def items(slices: Path, task: Task, part: str) -> list[dict[str, Any]]:
    patterns, options = parts.patterns(task, "files", part)
    found = parts.find(slices, patterns)
    return (
        [r.values for r in read(task.source["files"]["reader"], found, part.split("/")[0], **options)] if found else []
    )


def published(task: Task, row: dict[str, Any]) -> dict[str, Any]:
    """A row of ours in the columns the hub has it in."""
    if task.format == "classification":
        return {"premise": row["text_a"], "hypothesis": row["text_b"], "label": NLI.index(row["label"])}
    if task.format == "tagging":
        langs = ["xx"] * len(row["tokens"])
        return {"tokens": row["tokens"], "ner_tags": [TAGS.index(tag) for tag in row["tags"]], "langs": langs}
    answers = {"text": [a["text"] for a in row["answers"]], "answer_start": [a["start"] for a in row["answers"]]}
    return {"id": row["id"], "title": "", "context": row["context"], "question": row["question"], "answers": answers}


@pytest.mark.parametrize("name", ["mnli", "xnli", "squad", "squad_v2", "xquad", "tydiqa", "panx"])
def test_same_bytes_as_from_files(slices: Path, tmp_path: Path, name: str) -> None:
    task = load(name)
    mirror = tmp_path / "mirror"
    both = ["en/train+en/selection"] if name == "tydiqa" else []
    for part in task.parts:
        rows = items(slices, task, part)
        if both and part == "en/selection":
            continue  # the same file as the training part
        if both and part == "en/train":
            rows = [*rows, *items(slices, task, "en/selection")]
        if both and part.endswith("/test"):  # one file of all languages
            rows = [row for p in task.parts if p.endswith("/test") for row in items(slices, task, p)]
        if rows:
            put(mirror, task, part, [published(task, row) for row in rows])
    places = {}
    for kind, here in (("hub", world(mirror)), ("files", {"name": "files", "complete": False, "root": str(slices)})):
        places[kind] = Library(tmp_path / kind)
        (hub if kind == "hub" else files).fill(here, [task], places[kind])
    manifests = {kind: library.manifest(name) for kind, library in places.items()}
    assert manifests["hub"] is not None
    assert manifests["files"] is not None
    assert manifests["hub"]["files"] == manifests["files"]["files"]
    assert manifests["hub"]["missing"] == manifests["files"]["missing"]
    for part in manifests["hub"]["files"]:
        assert places["hub"].path(name, part).read_bytes() == places["files"].path(name, part).read_bytes()


def test_unlabelled_pairs_are_left_out_and_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records = [{"premise": "a", "hypothesis": "b", "label": n} for n in (-1, 2)]
    path.write_text("\n".join(map(json.dumps, records)))
    options = load("mnli").source["hub"]["options"]
    assert [r.values["label"] for r in read("records", [path], "en", **options)] == ["contradiction"]


@pytest.mark.parametrize(
    ("name", "record", "values"),
    [
        (
            "csqa",
            {"id": "x", "question": "Q?", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": "B"},
            {"id": "x", "context": "", "question": "Q?", "choices": ["a", "b"], "label": 1},
        ),
        (
            "siqa",
            {"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "d", "label": "3"},
            {"context": "c", "question": "q", "choices": ["a", "b", "d"], "label": 2},
        ),
        (
            "cosmosqa",
            {"id": "1", "context": "c", "question": "q", **{f"answer{i}": str(i) for i in range(4)}, "label": 0},
            {"id": "1", "context": "c", "question": "q", "choices": ["0", "1", "2", "3"], "label": 0},
        ),
        (
            "hellaswag",
            {"ctx_a": "a", "ctx_b": "b", "ctx": "a b", "endings": ["c", "d"], "label": "1"},
            {"context": "a", "question": "b", "choices": ["c", "d"], "label": 1},
        ),
        (
            "xcopa",
            {
                "premise": "p",
                "choice1": "a",
                "choice2": "b",
                "question": "effect",
                "label": 1,
                "idx": 4,
                "changed": False,
            },
            {"id": "4", "context": "p", "question": "What was the effect?", "choices": ["a", "b"], "label": 1},
        ),
        ("tatoeba", {"sentence1": "a", "sentence2": "b", "lang": "x"}, {"source": "a", "target": "b"}),
        ("mlm_en", {"text": " A text . \n"}, {"text": "A text ."}),
        ("udpos", {"tokens": ["a", "b"], "pos_tags": [7, 12]}, {"tokens": ["a", "b"], "tags": ["NOUN", "PUNCT"]}),
        ("udpos", {"tokens": ["a"], "pos_tags": ["X"]}, {"tokens": ["a"], "tags": ["X"]}),
    ],
)
def test_shapes(tmp_path: Path, name: str, record: dict[str, Any], values: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([record]), path)
    section = load(name).source["hub"]
    assert [r.values for r in read(section["reader"], [path], "en", **section["options"])] == [values]


def test_other_columns_and_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"premise": ["a"], "label": [0]}), path)
    options = load("mnli").source["hub"]["options"]
    with pytest.raises(DataError, match=r"a\.parquet:1: is not a record of pair: KeyError 'hypothesis'"):
        list(read("records", [path], "en", **options))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as Parquet"):
        list(read("records", [path], "en", **options))


def test_complete_is_checked_here_too(tmp_path: Path) -> None:
    put(tmp_path, load("mnli"), "en/train", [{"premise": "a", "hypothesis": "b", "label": 0}] * 4)
    with pytest.raises(UserError, match="en/train: 4 items where 392702 were published"):
        hub.fill(world(tmp_path, complete=True), [load("mnli")], Library(tmp_path / "library"))


def test_what_cannot_be_fetched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path / "library")
    with pytest.raises(UserError, match=r"world\.mirror has no nyu-mll/multi_nli; looked for"):
        hub.fill(world(tmp_path), [load("mnli")], library)
    with pytest.raises(UserError, match=r"ccg is not on the hub: .*world=files"):
        hub.fill(world(tmp_path), [load("ccg")], library)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"cannot fetch dataset nyu-mll/multi_nli .*\n.*do=fetch needs a connected"):
        hub.fill(world(None), [load("mnli")], library)


def test_a_fetched_task_is_not_fetched_again(tmp_path: Path) -> None:
    """Whatever commit the branch has moved to since: the YAML says when to fetch again."""
    task, here, library = load("mnli"), world(tmp_path), Library(tmp_path / "library")
    put(tmp_path, task, "en/train", [{"premise": "a", "hypothesis": "b", "label": 0}] * 4)
    hub.fill(here, [task], library)
    assert not stale.task(here, task, library)
    source = {"hub": {**task.source["hub"], "revision": "0123abc"}}
    assert stale.task(here, Task.from_dict({**task.to_dict(), "source": source}), library)
