"""Samples of the distributions, whose own columns are whole, and XTREME's copies, which are not to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xstilts.data import files
from xstilts.data.library import Library
from xstilts.data.readers import read
from xstilts.data.rows import table
from xstilts.errors import DataError, UserError
from xstilts.task import load


def world(root: Path) -> dict[str, Any]:
    return {"name": "files", "kind": "files", "root": str(root), "complete": False}


#: Samples below fixtures/hf_dummy by task, reader's language, and how many items each file gives.
SAMPLES = {
    "mnli": ("multi_nli/**/*.jsonl", [5, 5, 5]),
    "anli": ("anli/**/*.jsonl", [3] * 9),
    "xnli": ("xnli/**/XNLI-1.0/*.tsv", [1, 1]),
    "hellaswag": ("hellaswag/**/hellaswag_[tv][ra]*.jsonl", [2, 2]),
    "csqa": ("commonsense_qa/**/*rand_split.jsonl", [2, 5]),
    "cosmosqa": ("cosmos_qa/**/*.csv", [2, 2]),
    "pawsx": ("paws-x/**/*.tsv", [4] * 21),
    "mlqa": ("mlqa/**/*.json", [1] * 4),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_the_distributions(slices: Path, name: str) -> None:
    """Every column is there that our slices have lost; some rows were edited by hand, and are rows all the same."""
    pattern, counts = SAMPLES[name]
    task = load(name)
    section = task.source["files"]
    found = []
    for path in sorted((slices / "fixtures/hf_dummy").glob(pattern)):
        content = table(task, read(section["reader"], [path], "en", **section.get("options", {})))
        assert content is not None
        found.append(content.num_rows)
    assert found == counts


def test_folders_that_are_named_as_archives(slices: Path, tmp_path: Path) -> None:
    """`de.tar.gz` is a folder here: what lies in it is read as it lies."""
    (tmp_path / "panx_dataset").mkdir()
    for language in ("de", "en"):
        sample = slices / f"fixtures/hf_dummy/wikiann/{language}/{language}.tar.gz"
        assert sample.is_dir()
        (tmp_path / "panx_dataset" / language).symlink_to(sample)
    library = Library(tmp_path / "library")
    files.fill(world(tmp_path), [load("panx")], library)
    manifest = library.manifest("panx")
    assert manifest is not None
    assert set(manifest["files"]) == {"en/train", "de/dev", "de/test", "en/dev", "en/test"}


@pytest.mark.parametrize(
    ("name", "sample", "lacks"),
    [
        ("hellaswag", "hellaswag/0.1.0/hellaswag_test.jsonl", "label"),
        ("csqa", "commonsense_qa/1.0.0/test_rand_split_no_answers.jsonl", "answerKey"),
        ("siqa", "social_i_qa/0.1.0/socialiqa-train-dev/dev.jsonl", "correct"),
    ],
)
def test_samples_without_labels_are_refused(slices: Path, name: str, sample: str, lacks: str) -> None:
    """Test sets whose answers are not published, and a release that has them in another file."""
    section = load(name).source["files"]
    path = slices / "fixtures/hf_dummy" / sample
    with pytest.raises(DataError, match=rf"{path.name}:1: is not an item of {name}: '{lacks}'"):
        list(read(section["reader"], [path], "en", **section["options"]))


@pytest.mark.parametrize(
    ("name", "copy", "reason"),
    [
        ("xnli", "xnli/dev-sw.tsv", "has no field 'language'"),
        ("xnli", "xnli/test-sw.tsv", "has no field 'language'"),
        ("pawsx", "pawsx/dev-de.tsv", "has no field 'sentence1'"),
        ("pawsx", "pawsx/test-de.tsv", "has no field 'sentence1'"),
        ("udpos", "udpos/dev-en.tsv", "has 2 columns, where CoNLL-U has 10"),
        ("udpos", "udpos/test-yo.tsv", "has 1 columns, where CoNLL-U has 10"),
        ("panx", "panx/test-zh.tsv", "is not `language:token<TAB>tag` (XTREME's prepared copies are not read)"),
    ],
)
def test_other_copies_of_xtreme_are_refused(slices: Path, name: str, copy: str, reason: str) -> None:
    """Where its scripts took labels away, or a header, nothing is scored by mistake."""
    path = slices / "fixtures/xtreme_layout" / copy
    with pytest.raises(DataError) as error:
        list(read(load(name).source["files"]["reader"], [path], "en"))
    assert f"{path.name}:1: {reason}" in str(error.value)


def test_tatoeba_in_another_order_is_not_found(slices: Path, tmp_path: Path) -> None:
    """Line i of both files is no pair there, and the files do not say so: their names do."""
    with pytest.raises(UserError, match=r"tatoeba has no af/test in world=files; looked for .*tatoeba\.afr-eng\.afr"):
        files.fill(world(slices / "fixtures/xtreme_layout"), [load("tatoeba")], Library(tmp_path))
