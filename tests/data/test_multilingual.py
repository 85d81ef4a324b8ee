"""Training data in other languages: published translations, texts of a language's own, and what a user brings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hublike import Row, published, put

from xstilts import task as tasks
from xstilts.data import files, hub, sources, stale, toy
from xstilts.data.library import Library
from xstilts.errors import DataError, UserError
from xstilts.task import load

PAIR = {"text_a": "Habari.", "text_b": "Ndiyo.", "label": "contradiction"}
MT = "xnli/XNLI-MT-1.0/multinli"


def world(root: Path | None, kind: str = "files", **more: Any) -> dict[str, Any]:
    where = {"mirror": str(root)} if kind == "hub" else {"root": str(root)}
    return {"name": kind, "kind": kind, "complete": False, **where, **more}


def rows(place: Path, world: dict[str, Any], name: str) -> list[Row]:
    """The training part of a task, once a library is filled with it."""
    library, task = Library(place / "library"), load(name)
    (hub if world["kind"] == "hub" else files).fill(world, [task], library)
    assert not stale.task(world, task, library)
    assert list(library.manifest(name)["files"]) == [task.train]
    return library.read(name, str(task.train)).to_pylist()


def test_a_task_in_another_language_is_a_task_by_itself() -> None:
    one, other = load("mnli"), load("mnli.sw")
    assert (other.name, other.base, other.train, other.parts) == ("mnli.sw", "mnli", "sw/train", ["sw/train"])
    assert (other.format, other.labels, other.options) == (one.format, one.labels, one.options)
    assert other.counts == {"sw/train": 392702}
    assert one.base == "mnli"
    assert not any("." in name for name in tasks.names())
    assert load("mnli.yo").source == {}
    assert {name for name in tasks.names() if load(name).multilingual} == {"mnli", "squad", "mlm_multilingual"}


def test_xnlis_translations_from_their_files(tmp_path: Path) -> None:
    place = tmp_path / MT
    place.mkdir(parents=True)
    (place / "multinli.train.sw.tsv").write_text(
        'premise\thypo\tlabel\nHabari.\tNdiyo.\tcontradictory\n"Habari\tNdiyo.\tneutral\n'
    )
    assert rows(tmp_path, world(tmp_path), "mnli.sw") == [
        {"id": "0", **PAIR},
        {"id": "1", "text_a": '"Habari', "text_b": "Ndiyo.", "label": "neutral"},
    ]
    with pytest.raises(UserError, match=r"(?s)mnli\.sw in .* sw/train: 2 items where 392702 were published"):
        files.fill(world(tmp_path, complete=True), [load("mnli.sw")], Library(tmp_path / "library"))


def test_samples_of_the_distribution_itself(slices: Path, tmp_path: Path) -> None:
    (tmp_path / "xnli").mkdir()
    (tmp_path / "xnli/XNLI-MT-1.0").symlink_to(
        slices / "fixtures/hf_dummy/xnli/all_languages/XNLI-MT-1.0.zip/XNLI-MT-1.0"
    )
    for language in load("mnli").multilingual["languages"]:
        found = rows(tmp_path, world(tmp_path), f"mnli.{language}")
        assert {row["label"] for row in found} <= set(load("mnli").labels)


@pytest.mark.parametrize("name", ["mnli.de", "squad.de"])
def test_translations_on_the_hub(tmp_path: Path, name: str) -> None:
    row: Row = {"id": "0", **PAIR}
    if name == "squad.de":
        answers = [{"text": "Rom", "start": 4}]
        row = {"id": "q", "context": "Das Rom fiel.", "question": "Was?", "answers": answers}
    put(tmp_path, load(name), "de/train", [published(load(name), row)])
    assert rows(tmp_path, world(tmp_path, "hub"), name) == [row]


@pytest.mark.parametrize("kind", ["files", "hub"])
@pytest.mark.parametrize("end", ["jsonl", "parquet"])
def test_a_users_own_come_first(tmp_path: Path, kind: str, end: str) -> None:
    own = tmp_path / "own/mnli"
    own.mkdir(parents=True)
    if end == "jsonl":
        (own / "sw.jsonl").write_text(json.dumps(PAIR) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([PAIR]), own / "sw.parquet")
    here = world(tmp_path / "nowhere", kind, translations=str(tmp_path / "own"))
    assert rows(tmp_path, here, "mnli.sw") == [{"id": "0", **PAIR}]
    assert not Library(tmp_path / "library").manifest("mnli.sw")["complete"]
    assert sources.lacking(here, load("mnli.sw")) is None
    assert sources.lacking(here, load("mnli.de")) is not None
    os.utime(own / f"sw.{end}", ns=(1, 1))
    assert stale.task(here, load("mnli.sw"), Library(tmp_path / "library"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**PAIR, "label": "contradictory"}, "the label 'contradictory' is not one of mnli.sw's; did you mean"),
        ({**PAIR, "text_c": "x"}, "has a field 'text_c'; did you mean 'text_b'"),
        ({"text_a": "x", "text_b": "y"}, "has no label"),
        ({**PAIR, "text_a": 3}, "its text_a is 3, not string"),
        ({**PAIR, "id": "a"}, "the id 'a' is already at sw.jsonl:1"),
    ],
)
def test_what_is_wrong_with_them_is_named(tmp_path: Path, row: Row, reason: str) -> None:
    (tmp_path / "mnli").mkdir()
    (tmp_path / "mnli/sw.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ({**PAIR, "id": "a"}, row)))
    with pytest.raises(DataError) as error:
        rows(tmp_path, world(tmp_path, translations=str(tmp_path)), "mnli.sw")
    assert f"sw.jsonl:2: {reason}" in str(error.value)


def test_what_nobody_published_is_said_with_what_to_do(tmp_path: Path) -> None:
    for kind in ("files", "hub"):
        reason = sources.lacking(world(tmp_path, kind), load("hellaswag.sw"))
        assert reason == (
            "nobody published the training data of hellaswag in sw: give your own with world.translations=FOLDER, "
            "as FOLDER/hellaswag/sw.jsonl in the columns of its format"
        )
    assert "looked for" in str(sources.lacking(world(tmp_path), load("mnli.sw")))
    assert "has no datasets/facebook/xnli" in str(sources.lacking(world(tmp_path, "hub"), load("mnli.sw")))
    assert sources.lacking({"kind": "toy"}, load("hellaswag.qlm")) is None
    assert sources.lacking({"kind": "toy"}, load("hellaswag.xx")) is not None


def test_the_toy_worlds_corpus_has_all_languages_in_one() -> None:
    assert toy.stand_in(load("mlm_multilingual"), "sw") == "en"
    assert toy.stand_in(load("mnli"), "sw") == "qlm"
    assert toy.stand_in(load("mnli"), "en") == "en"
