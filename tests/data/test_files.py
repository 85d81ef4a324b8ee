"""World files: from original files to the library, with slices taken for what they are and the whole checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from xstilts.data import files, stale
from xstilts.data.library import Library
from xstilts.errors import DataError, UserError
from xstilts.task import Task, load

NLI = ["entailment", "neutral", "contradiction"]
PAIRS = Task(
    name="pairs",
    format="classification",
    labels=NLI,
    train="en/train",
    selection="en/selection",
    source={
        "files": {"reader": "nli", "parts": {"en/train": "set/train.jsonl", "en/selection": "set/dev.jsonl"}},
    },
    counts={"en/train": 3, "en/selection": 1},
)
TATOEBA = load("tatoeba")


def world(root: Path, complete: bool = False) -> dict[str, Any]:
    return {"name": "files", "kind": "files", "root": str(root), "complete": complete}


def write(path: Path, *labels: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"sentence1": f"a{n}", "sentence2": f"b{n}", "gold_label": label} for n, label in enumerate(labels)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "root/set/train.jsonl", *NLI)
    write(tmp_path / "root/set/dev.jsonl", "neutral")
    return tmp_path / "root"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.mark.parametrize("complete", [True, False])
def test_the_whole_set_is_complete(root: Path, library: Library, complete: bool) -> None:
    files.fill(world(root, complete), [PAIRS], library)
    manifest = library.manifest("pairs")
    assert manifest is not None
    assert manifest["complete"]
    assert {part: (f["rows"], f["expected"]) for part, f in manifest["files"].items()} == {
        "en/train": (3, 3),
        "en/selection": (1, 1),
    }
    assert library.read("pairs", "en/train")["id"].to_pylist() == ["0", "1", "2"]


def test_slices_are_recorded_or_refused(root: Path, library: Library) -> None:
    write(root / "set/train.jsonl", "neutral")
    (root / "set/dev.jsonl").unlink()
    files.fill(world(root), [PAIRS], library)
    manifest = library.manifest("pairs")
    assert manifest is not None
    assert (manifest["complete"], manifest["missing"]) == (False, ["en/selection"])
    with pytest.raises(UserError) as error:
        files.fill(world(root, complete=True), [PAIRS], library)
    assert str(error.value).splitlines() == [
        f"pairs in {root} is not the published data set:",
        "  en/train: 1 items where 3 were published",
        f"  en/selection: not there (looked for {root}/set/dev.jsonl)",
        "world.complete=false accepts slices and marks results as partial",
    ]


def test_sums_that_were_published(root: Path, library: Library) -> None:
    """Of Mewsli-X's development mentions only the number over all languages was published."""
    task = Task.from_dict({**PAIRS.to_dict(), "counts": {"en/train+en/selection": 4}})
    files.fill(world(root, complete=True), [task], library)
    write(root / "set/dev.jsonl", "neutral", "neutral")
    with pytest.raises(UserError, match=r"en/train\+en/selection: 5 items where 4 were published"):
        files.fill(world(root, complete=True), [task], library)


def test_parts_that_were_never_published_are_not_missing(root: Path, library: Library) -> None:
    (root / "set/dev.jsonl").unlink()
    task = Task.from_dict({**PAIRS.to_dict(), "counts": {"en/train": 3, "en/selection": 0}})
    files.fill(world(root, complete=True), [task], library)
    manifest = library.manifest("pairs")
    assert manifest is not None
    assert (manifest["complete"], manifest["missing"]) == (True, [])


def test_no_training_set_says_where_it_was_looked_for(root: Path, library: Library) -> None:
    (root / "set/train.jsonl").unlink()
    with pytest.raises(UserError, match=rf"pairs has no en/train in world=files; looked for {root}/set/train\.jsonl"):
        files.fill(world(root), [PAIRS], library)
    with pytest.raises(UserError, match=r"nowhere is not a folder; it is where the original distributions lie"):
        files.fill(world(root / "nowhere"), [PAIRS], library)
    assert library.manifest("pairs") is None


def test_a_wrong_label_is_named_by_file_and_line(root: Path, library: Library) -> None:
    write(root / "set/train.jsonl", "neutral", "entailement")
    with pytest.raises(DataError, match=r"train\.jsonl:2: the label 'entailement' .* did you mean 'entailment'"):
        files.fill(world(root), [PAIRS], library)
    assert library.manifest("pairs") is None


def test_an_id_that_comes_twice_is_named(tmp_path: Path, library: Library) -> None:
    text = "id\tsentence1\tsentence2\tlabel\n5\ta\tb\t1\n6\tc\td\t0\n5\te\tf\t1\n"
    (tmp_path / "train.tsv").write_text(text)
    source = {"files": {"reader": "tsv", "parts": {"*": "train.tsv"}}}
    task = Task("twice", "classification", labels=["0", "1"], train="en/train", source=source)
    with pytest.raises(DataError, match=r"train\.tsv:4: the id '5' is already at train\.tsv:2"):
        files.fill(world(tmp_path), [task], library)


def test_several_files_in_order(tmp_path: Path, library: Library) -> None:
    """Patterns in their order, the files of one by name whatever folder they are in, as XTREME reads treebanks."""
    for folder, label in (("z/a", "entailment"), ("a/b", "neutral")):
        write(tmp_path / folder / f"{Path(folder).name}.jsonl", label)
    write(tmp_path / "last/0.jsonl", "contradiction")
    source = {"files": {"reader": "nli", "parts": {"*": ["?/*/*.jsonl", "last/*.jsonl"]}}}
    task = Task("several", "classification", labels=NLI, train="en/train", source=source)
    files.fill(world(tmp_path), [task], library)
    assert library.read("several", "en/train")["label"].to_pylist() == ["entailment", "neutral", "contradiction"]


def test_staleness_is_seen_without_reading(root: Path, library: Library) -> None:
    here = world(root)
    assert stale.task(here, PAIRS, library)
    files.fill(here, [PAIRS], library)
    assert not stale.task(here, PAIRS, library)
    other = Task.from_dict({**PAIRS.to_dict(), "counts": {}})
    assert stale.task(here, other, library), "the definition changed"
    assert stale.task(world(root, complete=True), PAIRS, library), "it is to be checked now"
    os.utime(root / "set/dev.jsonl", ns=(1, 1))
    assert stale.task(here, PAIRS, library), "a file changed"
    files.fill(here, [PAIRS], library)
    assert not stale.task(here, PAIRS, library)
    (root / "set/dev.jsonl").unlink()
    assert stale.task(here, PAIRS, library), "a file went"


def test_staleness_needs_no_heavy_imports() -> None:
    code = (
        "import sys; from xstilts.data import stale;"
        "print([m for m in ('torch', 'pyarrow', 'numpy', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_filling_again_gives_the_same_bytes(slices: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        library = Library(tmp_path / name)
        files.fill(world(slices), [TATOEBA], library)
        found.append([p.read_bytes() for p in sorted((tmp_path / name / "data/tatoeba").glob("*/*.parquet"))])
    assert len(found[0]) == 36
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "there", "missing"),
    [
        ("mnli", ["en/selection", "en/train"], []),
        ("xnli", ["sw/test", "zh/dev"], ["bg/dev", "bg/test", "ur/dev", "ur/test"]),
        ("xquad", ["ar/test", "zh/test"], ["ro/test", "th/test"]),
        ("tydiqa", ["en/selection", "en/train", "sw/test"], ["te/test"]),
        ("lareqa", ["ar/test"], ["th/test"]),
        ("tatoeba", ["fa/test", "zh/test"], ["az/test", "lt/test", "pl/test", "ro/test", "uk/test"]),
    ],
)
def test_slices_fill_the_library(slices: Path, tmp_path: Path, name: str, there: list[str], missing: list[str]) -> None:
    library = Library(tmp_path)
    task = load(name)
    files.fill(world(slices), [task], library)
    manifest = library.manifest(name)
    assert manifest is not None
    assert manifest["missing"] == missing
    assert set(there) <= set(manifest["files"])
    assert set(manifest["files"]) | set(missing) == set(task.parts)
    assert not manifest["complete"]
    assert library.read(name, there[-1]).num_rows == manifest["files"][there[-1]]["rows"]


def test_slices_of_tagging_have_one_split_of_most_languages(slices: Path, tmp_path: Path) -> None:
    library = Library(tmp_path)
    files.fill(world(slices), [load("udpos"), load("panx")], library)
    udpos, panx = library.manifest("udpos"), library.manifest("panx")
    assert udpos is not None
    assert panx is not None
    assert udpos["files"]["en/train"]["rows"] == 2000
    assert "kk/dev" not in udpos["missing"], "nobody published one"
    assert {p.split("/")[1] for p in panx["files"]} == {"train", "dev"}, "development is not passed off as test"
