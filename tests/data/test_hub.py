"""World hub: from mirrors made by hand, for every task; the library is the same, byte for byte, as from files."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hublike import COLUMNS, Row, published, put, write

from xstilts import task as tasks
from xstilts.data import files, hub, parts, sources, stale, toy
from xstilts.data.library import Library
from xstilts.data.readers import read
from xstilts.data.readers.squad import percent
from xstilts.errors import DataError, UserError
from xstilts.task import Task, load

ON_THE_HUB = [name for name in tasks.names() if "hub" in load(name).source]
#: Those that need more than columns: pools, pairs and candidates.
OTHERS = {"americasnli", "bucc", "lareqa", "mewslix", "squad_retrieval"}
SIZES = {"train": 6, "selection": 4, "dev": 4, "test": 4}


def world(mirror: Path | None, complete: bool = False, **more: Any) -> dict[str, Any]:
    return {"name": "hub", "kind": "hub", "complete": complete, "mirror": str(mirror) if mirror else None, **more}


def invented(task: Task) -> dict[str, list[Row]]:
    """Rows of every part of a task, in English whatever the language: those of the toy world."""
    english = replace(toy.localised(load(task.base), SIZES), languages=["en"] if task.languages else [])
    made = {part.split("/")[1]: rows for part, rows in toy.parts(english, {"seed": 0, "sizes": SIZES})}
    if task.base in ("copa", "xcopa"):  # the toy world asks in other words
        made = {split: [{**row, "question": "What was the cause?"} for row in rows] for split, rows in made.items()}
    return {part: made.get(part.split("/")[1]) or made["test"] for part in task.parts}


def kept(library: Library, task: Task) -> dict[str, list[Row]]:
    manifest = library.manifest(task.name)
    assert manifest is not None
    return {part: library.read(task.name, part).to_pylist() for part in manifest["files"]}


def test_every_source_of_the_facts_has_columns_here() -> None:
    assert {load(name).base for name in ON_THE_HUB} - OTHERS - {"toy_pretrain"} == set(COLUMNS)
    assert set(tasks.names()) - set(ON_THE_HUB) == {"ccg", "toy_pretrain"}


@pytest.mark.parametrize("layout", ["converted", "main", "json"])
@pytest.mark.parametrize("name", sorted({*COLUMNS} - {"tydiqa", "mlm_multilingual"}))
def test_the_hubs_columns_become_our_rows(tmp_path: Path, name: str, layout: str) -> None:
    """Without a network, through the code that fetches: every part of every task, in three layouts."""
    task = load(name)
    expected = invented(task)
    for part, rows in expected.items():
        put(tmp_path, task, part, [published(task, row) for row in rows], layout)
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path), [task], library)
    assert kept(library, task) == expected


def test_tydiqa_is_cut_by_language_and_paragraph(tmp_path: Path) -> None:
    """One file of all languages, whose ids begin with them; a tenth of the English paragraphs selects."""
    task, rows = load("tydiqa"), []
    for number in range(60):
        row = {"id": f"english-{number}", "context": f"Paragraph {number} is this.", "question": "What?"}
        rows.append({**row, "answers": [{"text": "Paragraph", "start": 0}]})
    other = [{**row, "id": row["id"].replace("english", "swahili")} for row in rows]
    put(tmp_path, task, "en/train", [published(task, row) for row in [*rows, *other]])
    put(tmp_path, task, "en/test", [published(task, row) for row in [*rows[:5], *other[:7]]])
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path), [task], library)
    found = kept(library, task)
    assert found["en/selection"] == [row for row in rows if percent(row["context"]) < 10] != []
    assert found["en/train"] == [row for row in rows if percent(row["context"]) >= 10]
    assert (len(found["en/test"]), len(found["sw/test"])) == (5, 7)
    assert library.manifest("tydiqa")["missing"] == sorted(f"{c}/test" for c in task.languages if c not in ("en", "sw"))


@pytest.mark.parametrize("name", ["mlm_multilingual", "mlm_multilingual.sw"])
def test_articles_are_cut_into_paragraphs(tmp_path: Path, name: str) -> None:
    """Headings are shorter than paragraphs; only the first file of a language is read."""
    task = load(name)
    rows = [{"id": str(n), "text": f"Paragraph {n} has at least twenty characters."} for n in range(5)]
    put(tmp_path, task, task.train or "", [published(task, row) for row in rows])
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path), [task], library)
    assert kept(library, task) == {task.train: rows[:2]}
    first = replace(task, source={"hub": {**task.source["hub"], "options": {"shape": "article", "first": 1}}})
    hub.fill(world(tmp_path), [first], library)
    assert [row["text"] for row in kept(library, task)[task.train or ""]] == ["Title"]


@pytest.mark.parametrize("layout", ["converted", "json"])
def test_bucc_has_its_pools_in_one_record(tmp_path: Path, layout: str) -> None:
    """Both sides whole and the pairs by place; the set that the threshold is chosen on is not on the hub."""
    task = load("bucc")
    record = {"sentence1": ["eins", "zwei", "drei"], "sentence2": ["two", "four"], "gold": [[2, 1]]}
    place = "test/0000.parquet" if layout == "converted" else "test.jsonl.gz"
    for language in task.languages:
        path = tmp_path / "datasets/mteb/bucc-bitext-mining" / f"{language}-en" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, [record])
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path, complete=True), [task], library)
    sides = [("de-000000001", "source", "eins", None), ("de-000000002", "source", "zwei", "en-000000001")]
    sides += [("de-000000003", "source", "drei", None), ("en-000000001", "target", "two", "de-000000002")]
    sides += [("en-000000002", "target", "four", None)]
    assert [tuple(row.values()) for row in kept(library, task)["de/test"]] == sides
    assert library.manifest("bucc")["missing"] == ["de/dev", "fr/dev", "ru/dev", "zh/dev"]
    write(path, [{**record, "gold": [[2, 3]]}])
    with pytest.raises(DataError, match=r"(0000\.parquet|test\.jsonl\.gz):1: pairs sentence 3 of 2"):
        hub.fill(world(tmp_path), [task], library)


def test_bucc_is_named_as_in_its_own_files(tmp_path: Path) -> None:
    """Where nothing is left out, a language is the same from the hub and from files."""
    task, texts = load("bucc"), {"de": ["eins", "zwei"], "en": ["two", "one"]}
    folder = tmp_path / "files/bucc2018/de-en"
    folder.mkdir(parents=True)
    for code, side in texts.items():
        lines = (f"{code}-{n:09d}\t{text}\n" for n, text in enumerate(side, 1))
        (folder / f"de-en.test.{code}").write_text("".join(lines))
    (folder / "de-en.test.gold").write_text("de-000000001\ten-000000002\n")
    path = tmp_path / "datasets/mteb/bucc-bitext-mining/de-en/test.jsonl.gz"
    path.parent.mkdir(parents=True)
    write(path, [{"sentence1": texts["de"], "sentence2": texts["en"], "gold": [[1, 2]]}])
    both = [Library(tmp_path / "one"), Library(tmp_path / "two")]
    files.fill({"name": "files", "complete": False, "root": str(tmp_path / "files")}, [task], both[0])
    hub.fill(world(tmp_path), [task], both[1])
    assert both[0].path("bucc", "de/test").read_bytes() == both[1].path("bucc", "de/test").read_bytes()


def test_pairs_of_squad_are_made_of_the_hubs_squad(tmp_path: Path) -> None:
    task = load("squad_retrieval")
    context = "Rome is old. Paris is not as old as that."
    row = {"id": "q", "context": context, "question": "What is not?", "answers": [{"text": "Paris", "start": 13}]}
    put(tmp_path, task, "en/train", [COLUMNS["squad"](row)] * 1)
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path), [task], library)
    (found,) = kept(library, task)["en/train"]
    assert (found["kind"], found["query"]) == ("pair", "What is not?")
    assert found["candidate"] == f"Paris is not as old as that.{context}"


def archive(path: Path, **members: list[Row]) -> None:
    """A tar archive of JSON lines."""
    with tarfile.open(path, "w:gz") as tar:
        for name, records in members.items():
            content = "".join(json.dumps(record) + "\n" for record in records).encode()
            info = tarfile.TarInfo(f"folder/{name}.jsonl")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


ENTITY = {"entity_id": "Q1", "title": "T", "description": "A town.", "sentence_spans": [{"start": 0, "end": 7}]}
CONTEXT = {"language": "sw", "text": "Rome fell.", "sentence_spans": [{"start": 0, "end": 10}]}
MENTION = {"example_id": "m", "entity_id": "Q1", "mention_span": {"start": 0, "end": 4, "text": "Rome"}}
SAID = "Rome: { Rome } fell."


@pytest.mark.parametrize("texts", [False, True])
def test_mewslix_comes_in_archives(tmp_path: Path, texts: bool) -> None:
    """As Mewsli-X's own script leaves the records, and as texts."""
    task = replace(load("mewslix"), languages=["sw"], splits=["test"])
    pair: Row = {"contextual_mention": {"context": CONTEXT, "mention": MENTION}, "entity": ENTITY}
    mention: Row = {"context": CONTEXT, "mentions": [MENTION]}
    entity: Row = ENTITY
    if texts:
        pair = {"mention": SAID, "entity": "A town.", "entity_id": "Q1", "example_id": "m"}
        mention = {"mention": SAID, "entity_id": "Q1", "example_id": "m"}
        entity = {"entity_id": "Q1", "description": "A town."}
    place = tmp_path / "datasets/izhx/mewsli-x"
    (place / "wikinews_mentions/sw").mkdir(parents=True)
    archive(place / "wikipedia_pairs.jsonl.tar.gz", **{"train": [pair], "dev": [pair]})
    archive(place / "candidate_entities.jsonl.tar.gz", candidate_entities=[entity])
    (place / "wikinews_mentions/sw/test.jsonl").write_text(json.dumps(mention))
    library = Library(tmp_path / "library")
    hub.fill(world(tmp_path), [task], library)
    found = kept(library, task)
    expected = {"id": "m", "kind": "pair", "query": SAID, "candidate": "A town.", "positives": ["Q1"]}
    assert found["en/train"] == found["en/selection"] == [expected]
    assert found["sw/test"] == [{**expected, "kind": "query", "candidate": ""}]
    entities = {"id": "Q1", "kind": "candidate", "query": "", "candidate": "A town.", "positives": []}
    assert found["all/candidates"] == [entities]
    archive(place / "wikipedia_pairs.jsonl.tar.gz", train=[pair])
    with pytest.raises(DataError, match=r"wikipedia_pairs\.jsonl\.tar\.gz: should have one file '\*dev\*', and has"):
        hub.fill(world(tmp_path), [task], library)


def items(slices: Path, task: Task, part: str) -> list[Row]:
    patterns, options = parts.patterns(task, "files", part)
    found = parts.find(slices, patterns)
    return (
        [r.values for r in read(task.source["files"]["reader"], found, part.split("/")[0], **options)] if found else []
    )


@pytest.mark.parametrize("name", sorted({*COLUMNS} - {"qqp", "mlm_en", "mlm_multilingual", "udpos_v25"}))
def test_same_bytes_as_from_files(slices: Path, tmp_path: Path, name: str) -> None:
    task = load(name)
    mirror = tmp_path / "mirror"
    for part in task.parts:
        rows = items(slices, task, part)
        if name == "tydiqa":  # one file of both English parts, and one of all languages
            if part == "en/selection":
                continue
            together = ["en/train", "en/selection"] if part == "en/train" else [p for p in task.parts if "/test" in p]
            rows = [row for p in together for row in items(slices, task, p)]
        if rows:
            put(mirror, task, part, [published(task, {"id": str(n), **row}) for n, row in enumerate(rows)])
    both(task, world(mirror), slices, tmp_path)


def test_same_bytes_as_from_files_by_other_ways(slices: Path, tmp_path: Path) -> None:
    """SQuAD's pairs from the hub's SQuAD; LAReQA as its authors' repository has it."""
    pairs, squad = load("squad_retrieval"), load("squad")
    for part in squad.parts:
        put(tmp_path, pairs, part, [COLUMNS["squad"](row) for row in items(slices, squad, part)])
    both(pairs, world(tmp_path), slices, tmp_path)
    (tmp_path / "github/google-research-datasets").mkdir(parents=True)
    (tmp_path / "github/google-research-datasets/lareqa").symlink_to(slices / "lareqa")
    here = load("lareqa")  # the slices have no Thai
    there = [f"xquad-r/{code}.json" for code in here.languages if code != "th"]
    section = {**here.source["hub"], "parts": {"*": there}}
    both(replace(here, source={**here.source, "hub": section}), world(tmp_path), slices, tmp_path)


def both(task: Task, here: dict[str, Any], slices: Path, place: Path) -> None:
    """Filled from the hub and from files, a task is the same."""
    libraries = {"hub": Library(place / "hub"), "files": Library(place / "files")}
    hub.fill(here, [task], libraries["hub"])
    files.fill({"name": "files", "complete": False, "root": str(slices)}, [task], libraries["files"])
    manifests = {kind: library.manifest(task.name) for kind, library in libraries.items()}
    assert manifests["hub"] is not None
    assert manifests["files"] is not None
    assert manifests["hub"]["files"] == manifests["files"]["files"] != {}
    assert manifests["hub"]["missing"] == manifests["files"]["missing"]
    for part in manifests["hub"]["files"]:
        one, other = (library.path(task.name, part) for library in libraries.values())
        assert one.read_bytes() == other.read_bytes()


def test_unlabelled_pairs_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records = [{"premise": "a", "hypothesis": "b", "label": n} for n in (-1, 2)]
    path.write_text("\n".join(map(json.dumps, records)))
    options = load("mnli").source["hub"]["options"]
    assert [r.values["label"] for r in read("records", [path], "en", **options)] == ["contradiction"]


@pytest.mark.parametrize(
    ("name", "record", "reason"),
    [
        ("mnli", {"premise": "a", "label": 0}, "is not a record of pair: KeyError 'hypothesis'"),
        ("mnli", {"premise": "a", "hypothesis": "b", "label": 3}, "has label 3, and there are 3, from 0"),
        ("mnli", {"premise": "a", "hypothesis": "b", "label": -2}, "has label -2, and there are 3, from 0"),
        ("panx", {"tokens": ["a"], "ner_tags": [-1], "langs": []}, "has label -1, and there are 7, from 0"),
        ("siqa", {"context": "", "question": "", **dict.fromkeys(("answerA", "answerB", "answerC"), "x"), "label": "0"},
         "its answer is None; "),
        ("xquad", {"id": "q", "context": "abc", "question": "?", "answers": {"text": ["c"], "answer_start": [1]}},
         "question q: the answer 'c' is not at character 1"),
        ("xquad", {"id": "q", "context": "abc", "question": "?", "answers": {"text": [""], "answer_start": [0]}},
         "question q has no answer; XTREME takes them out"),
        ("squad", {"id": "q", "context": "abc", "question": "?", "answers": {"text": ["a"], "answer_start": []}},
         "zip()"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, name: str, record: Row, reason: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([record]), path)
    section = load(name).source["hub"]
    with pytest.raises(DataError) as error:
        list(read(section["reader"], [path], "en", **section["options"]))
    assert f"a.parquet:1: {reason}" in str(error.value)


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"premise": ["a"], "hypothesis": ["b"], "label": [0]}), path)
    options = load("mnli").source["hub"]["options"]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"a\.parquet:1: cannot be read as Parquet"):
        list(read("records", [path], "en", **options))


def test_complete_is_checked_here_too(tmp_path: Path) -> None:
    put(tmp_path, load("mnli"), "en/train", [{"premise": "a", "hypothesis": "b", "label": 0}] * 4)
    with pytest.raises(UserError, match="en/train: 4 items where 392702 were published"):
        hub.fill(world(tmp_path, complete=True), [load("mnli")], Library(tmp_path / "library"))


def test_what_cannot_be_fetched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is tried where there is none, and there is none in tests."""
    library = Library(tmp_path / "library")
    with pytest.raises(UserError, match=r"world\.mirror has no datasets/nyu-mll/glue; looked for"):
        hub.fill(world(tmp_path), [load("mnli")], library)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"cannot fetch dataset nyu-mll/glue .*\n.*do=fetch needs a connected"):
        hub.fill(world(None), [load("mnli")], library)
    with pytest.raises(UserError, match=r"cannot fetch https://raw\.githubuser.*: HF_HUB_OFFLINE is set\ndo=fetch"):
        hub.fill(world(None), [load("lareqa")], library)


def test_what_nobody_gives_away_is_read_from_a_folder(tmp_path: Path) -> None:
    """CCGbank needs a licence: refused with how to get it, and read from where it lies."""
    task, library = load("ccg"), Library(tmp_path / "library")
    refused = r"ccg is not on the hub: CCGbank needs a licence \(https://catalog.ldc.* world.root=FOLDER says where"
    assert sources.lacking(world(tmp_path), task) == hub.nowhere(task)
    with pytest.raises(UserError, match=refused):
        hub.fill(world(tmp_path), [task], library)
    for section in ("00", "18", "19", "20"):
        path = tmp_path / f"ccgbank_1_1/data/AUTO/{section}/wsj_{section}01.auto"
        path.parent.mkdir(parents=True)
        path.write_text(f"ID=wsj_{section}01.1 PARSER=GOLD NUMPARSE=1\n(<L NP PRP PRP It NP>)\n")
    here = world(tmp_path, root=str(tmp_path))
    assert sources.lacking(here, task) is None
    hub.fill(here, [task], library)
    assert kept(library, task)["en/selection"][0] == {"id": "0", "tokens": ["It"], "tags": ["NP"]}
    assert not stale.task(here, task, library)


def test_a_fetched_task_is_not_fetched_again(tmp_path: Path) -> None:
    """Whatever commit the branch has moved to since: the YAML says when to fetch again."""
    task, here, library = load("mnli"), world(tmp_path), Library(tmp_path / "library")
    put(tmp_path, task, "en/train", [{"premise": "a", "hypothesis": "b", "label": 0}] * 4)
    hub.fill(here, [task], library)
    assert not stale.task(here, task, library)
    source = {"hub": {**task.source["hub"], "revision": "0123abc"}}
    assert stale.task(here, Task.from_dict({**task.to_dict(), "source": source}), library)
