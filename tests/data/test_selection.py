"""The items that select a checkpoint are none of those tested on: by their texts, since ids differ between releases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from xstilts.data import parts
from xstilts.data.readers import read
from xstilts.task import CONF, load

#: Targets with a slice of both, in English where languages differ. The others are named with the reason.
CHECKED = ("americasnli", "lareqa", "mlqa", "pawsx", "tatoeba_squad", "tydiqa", "udpos", "xcopa", "xnli", "xquad")
UNCHECKED = {
    "bucc": "selects nothing",
    "tatoeba": "selects nothing",
    "mewslix": "no slice of its pairs",
    "udpos_v25": "no slice of release 2.5",
    "panx": "the slice's labelled development part is the selection set; it has no test part",
}


def target(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CONF / "target" / f"{name}.yaml").read_text())
    return values


def rows(slices: Path, name: str, part: str) -> list[dict[str, Any]]:
    task = load(name)
    patterns, options = parts.patterns(task, "files", part)
    paths = parts.find(slices, patterns)
    if not paths:
        return []
    return [r.values for r in read(task.source["files"]["reader"], paths, part.split("/")[0], **options)]


def texts(values: dict[str, Any]) -> Iterator[str]:
    """What makes an item the same item: one string for each text that may not be in both."""
    if "context" in values and "choices" not in values:
        yield plain(values["context"])
        yield plain(values["context"], values["question"])
    elif "choices" in values:
        yield plain(values["context"], *values["choices"])
    elif "text_a" in values:
        yield plain(values["text_a"], values["text_b"])
    elif "tokens" in values:
        yield plain(*values["tokens"])
    elif "query" in values:
        yield plain(values["query"] or values["candidate"])
    else:
        yield plain(values["target"])


def plain(*strings: str) -> str:
    return " | ".join(" ".join(s.casefold().split()) for s in strings)


def selected(slices: Path, name: str) -> set[str]:
    chain = [entry for stage in target(name)["train"] for entry in stage]
    tasks = [load(task) for entry in chain for task in entry["tasks"]]
    found = [r for task in tasks if task.selection for r in rows(slices, task.name, task.selection)]
    return {text for r in found for text in texts(r)}


def evaluated(slices: Path, name: str) -> set[str]:
    """The test parts of all languages; of MLQA, whose slice has none, the development parts, which select nothing."""
    task = load(target(name)["evaluate"])
    if name == "xcopa":  # its items are COPA's in other languages
        path = slices / "xcopa/data/en/test.en.jsonl"
        found = [r.values for r in read("multiple_choice", [path], "en", shape="copa")]
    else:
        split = "dev" if name == "mlqa" else "test"
        found = [r for part in task.evaluated if part.endswith(f"/{split}") for r in rows(slices, task.name, part)]
    return {text for r in found for text in texts(r)}


def test_every_target_is_accounted_for() -> None:
    targets = {p.stem for p in (CONF / "target").glob("*.yaml") if "suite" not in yaml.safe_load(p.read_text())}
    assert targets == {*CHECKED, *UNCHECKED}
    assert not target("bucc")["train"]
    assert not target("tatoeba")["train"]


@pytest.mark.parametrize("name", CHECKED)
def test_selection_shares_no_item_with_a_test_part(slices: Path, name: str) -> None:
    chosen, tested = selected(slices, name), evaluated(slices, name)
    assert chosen
    assert tested
    shared = chosen & tested
    assert not shared, f"{len(shared)} of {len(chosen)}: {sorted(shared)[:3]}"
