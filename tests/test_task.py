"""Every task, intermediate task and target: known keys, the published languages, and nothing that trains on a test."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from xstilts import formats, task
from xstilts.data import parts
from xstilts.data.readers import READERS
from xstilts.errors import UserError
from xstilts.task import CONF, Task, load

TASKS = task.names()
HEADS = {"classification", "choice", "span", "tagging", "dual_encoder", "mlm"}
#: numbers of languages in XTREME-R and XTREME
LANGUAGES = {
    "xnli": 15,
    "xcopa": 11,
    "udpos": 38,
    "panx": 48,
    "xquad": 12,
    "mlqa": 7,
    "tydiqa": 9,
    "tatoeba": 41,
    "mewslix": 11,
    "lareqa": 11,
    "udpos_v25": 33,
    "pawsx": 7,
    "bucc": 4,
}


def group(name: str) -> dict[str, dict[str, Any]]:
    return {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted((CONF / name).glob("*.yaml"))}


INTERS, TARGETS = group("inter"), group("target")
CELLS = {name: target for name, target in TARGETS.items() if "suite" not in target}


@pytest.mark.parametrize("name", TASKS)
def test_task(name: str) -> None:
    one = load(name)
    assert formats.get(one.format).name == one.format
    assert one.title
    assert one.licence
    assert one.metric
    assert one.languages == sorted(set(one.languages))
    assert set(one.splits) <= {"dev", "test"}
    assert bool(one.labels) == (one.format in ("classification", "tagging"))
    assert len(set(one.labels)) == len(one.labels)
    assert all(len(language) in (2, 3) for language in one.languages)
    known = {*one.parts, *("+".join(p.split("+")) for p in one.counts if "+" in p)}
    assert set(one.counts) <= known
    assert all(p in one.parts for key in one.counts for p in key.split("+"))


@pytest.mark.parametrize("name", TASKS)
def test_selection_is_never_tested_on(name: str) -> None:
    one = load(name)
    assert one.selection is None or one.selection.split("/")[0] == "en"
    assert one.selection not in [f"{language}/test" for language in one.languages]
    assert one.train is None or one.train not in [one.selection, *one.evaluated]


@pytest.mark.parametrize("name", TASKS)
def test_every_part_is_somewhere(name: str) -> None:
    one = load(name)
    for kind in set(one.source) - {"toy"}:
        assert one.source[kind]["reader"] in READERS
        for part in one.parts:
            patterns, _ = parts.patterns(one, kind, part)
            assert patterns or (name, kind, part.split("/")[1]) == ("bucc", "hub", "dev"), "the one that is nowhere"
            assert not any("{" in pattern for pattern in patterns)


def test_languages_are_the_published_ones() -> None:
    assert {name: len(load(name).languages) for name in LANGUAGES} == LANGUAGES
    suite = TARGETS["xtreme_r"]["suite"]
    union = {language for name in suite for language in load(CELLS[name]["evaluate"]).languages}
    assert len(union) == 50
    assert {"ht", "qu", "wo", "yo"} < union, "the four that XLM-R has never seen"


@pytest.mark.parametrize("name", sorted(INTERS))
def test_inter(name: str) -> None:
    inter = INTERS[name]
    assert set(inter) == {"name", "mixture"}
    assert inter["name"] == name
    for entry in inter["mixture"]:
        trained(entry)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_target(name: str) -> None:
    target = CELLS[name]
    assert set(target) == {"name", "group", "train", "head", "evaluate", "same_task"}
    assert target["name"] == name
    assert target["group"] in ("classification", "tagging", "qa", "retrieval")
    evaluated = load(target["evaluate"])
    assert evaluated.evaluated
    for mixture in target["train"]:
        for entry in mixture:
            trained(entry)
    if target["head"]:
        entry = next(e for e in target["train"][-1] if e["name"] == target["head"])
        own = load(entry["tasks"][0])
        assert (own.format, own.labels) == (evaluated.format, evaluated.labels), "the head's outputs mean the same"
    else:
        assert evaluated.format in ("nearest", "mining")


@pytest.mark.parametrize("name", sorted(CELLS))
def test_same_task_is_what_trains_on_the_targets_own_data(name: str) -> None:
    """By data set, since lareqa's pairs are SQuAD's questions."""

    def sources(entries: list[dict[str, Any]]) -> set[str]:
        names = {task for entry in entries for task in entry["tasks"]}
        return {"squad" if n == "squad_retrieval" else n for n in names}

    target = CELLS[name]
    own = sources([entry for mixture in target["train"] for entry in mixture])
    found = sorted(inter for inter, content in INTERS.items() if own & sources(content["mixture"]))
    assert sorted(target["same_task"]) == found


def test_suites() -> None:
    assert len(TARGETS["xtreme_r"]["suite"]) == 10
    assert len(TARGETS["xtreme"]["suite"]) == 9
    for suite in (t for t in TARGETS.values() if "suite" in t):
        assert set(suite["suite"]) <= set(CELLS)


def trained(entry: dict[str, Any]) -> None:
    """An entry of a mixture is known tasks with training data that can share a head."""
    tasks = [load(name) for name in entry["tasks"]]
    assert all(one.train and one.selection for one in tasks)
    assert {one.format for one in tasks} <= HEADS
    assert len({(one.format, tuple(one.labels)) for one in tasks}) == 1


def test_unknown_tasks_and_keys_name_the_valid_ones() -> None:
    with pytest.raises(UserError, match="no task 'xnly'; did you mean 'xnli'"):
        load("xnly")
    with pytest.raises(UserError, match="task x: unknown key 'langages'; did you mean 'languages'"):
        Task.from_dict({"name": "x", "format": "span", "langages": []})


def test_identity_is_what_decides_a_result() -> None:
    one = load("mlqa")
    assert one.identity() == {
        "name": "mlqa",
        "format": "span",
        "labels": [],
        "metric": "em_f1",
        "options": {"normalisation": "mlqa"},
    }
