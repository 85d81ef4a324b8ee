"""The record of a sweep: what it says, there and back, and names that are file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import Planned, chain, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import DataError, UserError
from xstilts.store import Store
from xstilts.sweep import sweeps
from xstilts.sweep.sweeps import Sweep, all_, load, names, pretraining, record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
CELLS = st.dictionaries(TEXT, LEAVES | st.lists(LEAVES, max_size=3), max_size=4)


@settings(max_examples=50)
@given(st.lists(TEXT), st.lists(CELLS, min_size=1, max_size=2), CELLS, st.dictionaries(TEXT, st.floats(1e-9, 1e30)))
def test_a_record_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    command: list[str],
    cells: list[dict[str, Any]],
    stage: dict[str, Any],
    seen: dict[str, float],
) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "recorded")
    made = Sweep("one", "2020-01-01T00:00:00+00:00", "somebody", command, cells, {"train-0": stage}, {"base": seen})
    made.save(store)
    assert load(store, "one") == made


def test_what_a_cell_says(planned: Planned, tmp_path: Path) -> None:
    fill(tmp_path / "lib", "hub", "mnli", "xnli", models=("base",))
    plan = planned("inter=mnli", "target=xnli", "seed=3", "baseline=false", f"library={tmp_path / 'lib'}")
    made = record(plan, ["inter=mnli"], None)
    (cell,) = made.cells
    languages = ["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"]
    assert cell == {
        "model": "base", "inter": "mnli", "regime": "english", "target": "xnli", "recipe": "phang2020", "seed": 3,
        "parameters": 277453056, "world": "hub", "synthetic": False, "partial": False, "same_task": True,
        "group": "classification", "task": "xnli", "metric": "accuracy", "languages": languages,
        "splits": ["dev", "test"], "stages": chain(plan),
    }  # fmt: skip
    assert list(made.stages) == list(plan.stages)
    train = made.stages[chain(plan)[1]]
    assert train["upstream"] == {"init": chain(plan)[0]}
    assert (train["kind"], train["label"], train["model"]) == ("train", "base > mnli > mnli", "base")
    assert made.seen["base"]["sw"] == 1.6
    assert "wo" not in made.seen["base"]  # not seen in pretraining
    assert made.command == ["inter=mnli"]


def test_same_task_is_a_pair_of_choices(planned: Planned) -> None:
    plan = planned("inter=mnli,squad,none,multitask", "target=xnli,xquad,mlqa,tydiqa,tatoeba")
    same = {(c["inter"], c["target"]) for c in record(plan, [], None).cells if c["same_task"]}
    assert same == {("mnli", "xnli"), ("multitask", "xnli")} | {
        (inter, target) for inter in ("squad", "multitask") for target in ("xquad", "mlqa")
    }


def test_a_slice_makes_a_cell_partial(planned: Planned, tmp_path: Path) -> None:
    library = tmp_path / "lib"
    fill(library, "hub", "mnli", "xnli", "tatoeba", models=("base",))
    manifest = library / "data" / "mnli" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    made = record(planned("inter=none,mnli", "target=xnli,tatoeba", f"library={library}"), [], None)
    partial = {(c["inter"], c["target"]): c["partial"] for c in made.cells}
    assert partial == {
        ("none", "xnli"): True,
        ("mnli", "xnli"): True,
        ("none", "tatoeba"): False,
        ("mnli", "tatoeba"): True,
    }


def test_the_same_cells_have_one_name(planned: Planned, tmp_path: Path) -> None:
    def named(*typed: str) -> str:
        return record(planned(*typed), ["whatever"], None).name

    line = ("inter=mnli", "target=tatoeba")
    automatic = named(*line)
    assert len(automatic) == 8
    assert named(*line, "keep=all", "numerics.device=cpu", f"library={tmp_path / 'other'}", "do=plan") == automatic
    toy = (*line, "world=toy", "recipe=toy")
    others = [(*line, "seed=1"), (*line, "recipe.target.lr=1"), (*line, "baseline=false"), toy, (*toy, "world.seed=1")]
    assert len({automatic, *(named(*other) for other in others)}) == 6


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for user in ("a", "b"):
        Sweep("one", "now", user, [], [], {}).save(store)
    assert load(store, "one").user == "b"
    assert [p.name for p in (tmp_path / "sweeps").iterdir()] == ["one.yaml"]


def test_a_record_is_yaml_for_anybody(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = Sweep("one", "now", "a", ["seed=0"], [{"model": "base", "seed": 0}], {"train-0": {"kind": "train"}})
    made.save(store)
    assert yaml.safe_load((tmp_path / "sweeps" / "one.yaml").read_text())["cells"] == made.cells


def test_all_sweeps_and_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert names(store) == []
    with pytest.raises(UserError, match="it has none yet"):
        load(store, "one")
    for name in ("two", "one"):
        Sweep(name, "now", "a", [], [], {}).save(store)
    assert [s.name for s in all_(store)] == ["one", "two"]
    with pytest.raises(UserError, match="no sweep 'on'; did you mean 'one'"):
        load(store, "on")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-m", "a b", "x\n"])
def test_a_name_is_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        Sweep(name, "now", "a", [], [], {}).save(Store(tmp_path))
    with pytest.raises(UserError, match="letters, digits"):
        load(Store(tmp_path), name)


@pytest.mark.parametrize("content", [b"", b"[]", b"name: x", b"a: [", b"\xff\xff", b"surplus: 1", b"x: 2001-99-99"])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sweeps" / "one.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    for look in (lambda: load(Store(tmp_path), "one"), lambda: all_(Store(tmp_path))):
        with pytest.raises(DataError, match=r"one\.yaml: not a record of a sweep"):
            look()


def test_what_a_model_has_seen() -> None:
    assert pretraining({"en": 2.0, "sw": 0.0}) == {"en": 2.0}
    assert pretraining("cc100")["en"] == 300.8
    with pytest.raises(UserError, match="no table 'cc10'; did you mean 'cc100'"):
        pretraining("cc10")


def test_a_table_is_read_once_for_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps._table.cache_clear()
    read: list[int] = []
    load_yaml = yaml.safe_load
    monkeypatch.setattr(sweeps.yaml, "safe_load", lambda text: read.append(1) or load_yaml(text))
    for _ in range(5):
        pretraining("cc100")
    assert len(read) == 1
