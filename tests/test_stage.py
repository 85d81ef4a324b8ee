"""A stage's id: what changes it, what does not, what it refuses; and `stage.yaml` there and back."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import DataError
from xstilts.stage import VERSIONS, Stage, canonical, digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
TREES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=2) | st.dictionaries(TEXT, below, max_size=2), max_leaves=5
)
SPECS = st.dictionaries(TEXT, TREES, min_size=1, max_size=3)
FEW = settings(max_examples=40)
IDS = st.dictionaries(st.sampled_from(["init", "checkpoint"]), TEXT, max_size=2)


def shuffled(value: Any, order: Any) -> Any:
    """The same dictionaries, filled in another order."""
    if isinstance(value, dict):
        keys = order.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(v, order) for v in value] if isinstance(value, list) else value


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every leaf is, empty containers included."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, v in below for p in paths(v, (*path, key))] or [path]


def replaced(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    value = copy.deepcopy(value)
    node = value
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = leaf
    return value


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@FEW
@given(SPECS, IDS, st.data())
def test_the_id_ignores_the_order_of_keys(spec: dict[str, Any], upstream: dict[str, str], order: Any) -> None:
    same = Stage("train", shuffled(spec, order), shuffled(upstream, order))
    assert same.id == Stage("train", spec, upstream).id


@FEW
@given(SPECS, IDS, SPECS, SPECS, SPECS)
def test_the_id_ignores_people_places_and_numerics(
    spec: dict[str, Any],
    upstream: dict[str, str],
    about: dict[str, Any],
    place: dict[str, Any],
    numerics: dict[str, Any],
) -> None:
    assert Stage("train", spec, upstream, about, place, numerics).id == Stage("train", spec, upstream).id


@FEW
@given(SPECS, IDS, st.data(), TREES)
def test_the_id_changes_with_every_leaf(spec: dict[str, Any], upstream: dict[str, str], data: Any, leaf: Any) -> None:
    path = data.draw(st.sampled_from(paths(spec)))
    other = Stage("train", replaced(spec, path, leaf), upstream)
    unchanged = canonical(at(spec, path)) == canonical(leaf) and repr(canonical(at(spec, path))) == repr(
        canonical(leaf)
    )
    assert (other.id == Stage("train", spec, upstream).id) == unchanged


@FEW
@given(SPECS, IDS, TEXT, TEXT)
def test_the_id_changes_with_what_it_starts_from(
    spec: dict[str, Any], upstream: dict[str, str], role: str, name: str
) -> None:
    other = Stage("train", spec, {**upstream, role: name})
    assert (other.id == Stage("train", spec, upstream).id) == (upstream.get(role) == name)


@FEW
@given(SPECS, TEXT, TREES)
def test_the_id_changes_with_one_more_key(spec: dict[str, Any], key: str, value: Any) -> None:
    if key not in spec:
        assert Stage("train", {**spec, key: value}).id != Stage("train", spec).id


def test_kind_and_version_are_in_the_id() -> None:
    spec = {"a": 1}
    ids = {Stage("train", spec).id, Stage("evaluate", spec).id, Stage("train", spec, version=VERSIONS["train"] + 1).id}
    assert len(ids) == 3
    assert Stage("train", spec).id == Stage("train", spec, version=VERSIONS["train"]).id
    assert Stage("train", spec).id.startswith("train-")


def test_what_looks_alike_is_told_apart() -> None:
    values: list[Any] = [0, 0.0, False, None, "", "0", "None", [], {}, [None], {"": None}, "0.0", "false"]
    assert len({digest(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1e-5, 0.00001), (1e22, float("1e22")), (-0.0, 0.0), ((1, 2), [1, 2]), (2.50, 2.5), (np.float64(0.1), 0.1)],
)
def test_one_value_has_one_form(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


def test_the_next_float_is_another_one() -> None:
    assert digest(1e-5) != digest(math.nextafter(1e-5, 1))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        {1, 2},
        object(),
        b"bytes",
        {1: "a"},
        {None: 1},
        np.int64(3),
        np.zeros(2),
        Path("a"),
    ],
    ids=lambda value: f"{type(value).__name__}",  # the same in every process
)
def test_what_has_no_canonical_form_is_refused_and_named(value: Any) -> None:
    with pytest.raises(TypeError, match=r"spec\.deep\[1\]"):
        canonical({"deep": [0, value]})
    with pytest.raises(TypeError):
        _ = Stage("train", {"deep": [0, value]}).id


@FEW
@given(SPECS, IDS, SPECS)
def test_digests_known_beforehand_change_nothing(
    spec: dict[str, Any], upstream: dict[str, str], about: dict[str, Any]
) -> None:
    known = {key: digest(value) for key, value in spec.items()}
    assert Stage("train", spec, upstream, about, digests=known).id == Stage("train", spec, upstream).id


@FEW
@given(spec=SPECS, upstream=IDS, about=SPECS, numerics=SPECS)
def test_a_frozen_stage_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    spec: dict[str, Any],
    upstream: dict[str, str],
    about: dict[str, Any],
    numerics: dict[str, Any],
) -> None:
    path = tmp_path_factory.getbasetemp() / "frozen.yaml"
    stage = Stage("evaluate", spec, upstream, about, {"library": "/there"}, numerics)
    stage.save(path)
    back = Stage.load(path)
    assert back == stage
    assert back.id == stage.id
    assert back.decisive == stage.decisive


STAGE = Stage(
    "train", {"recipe": {"lr": 1e-05, "epochs": 3}, "languages": ["no", "en"]}, {"init": "train-0"}, {"label": "a"}
)


def edited(path: Path, **changes: Any) -> Path:
    STAGE.save(path)
    values = yaml.safe_load(path.read_text())
    values.update(changes)
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"recipe": {"lr": 2e-05, "epochs": 3}, "languages": ["no", "en"]}},
        {"spec": {"recipe": {"lr": 1e-05, "epochs": 3.0}, "languages": ["no", "en"]}},
        {"upstream": {}},
        {"kind": "evaluate"},
        {"version": 99},
        {"id": "train-0123456789abcdef"},
        {"spec": {"lr": math.nan}},
        {"spec": 3},
        {"kind": "prune"},
        {"kind": "prune", "version": 0},
        {"surplus": 1},
    ],
    ids=str,
)
def test_an_edited_stage_is_refused_by_name(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = edited(tmp_path / "stage.yaml", **changes)
    with pytest.raises(DataError, match=r"stage\.yaml"):
        Stage.load(path)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"a: [", b"\xff\xfe\x00", b"id: x", b"3", b"spec: 2001-99-99", b"!!python/object:os.system {}"]
)
def test_what_is_no_stage_is_refused_by_name(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "stage.yaml"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"stage\.yaml: not a frozen stage"):
        Stage.load(path)


def test_what_is_for_people_may_be_edited(tmp_path: Path) -> None:
    path = edited(tmp_path / "stage.yaml", about={"label": "b"}, numerics={"device": "cpu"}, place={"library": "x"})
    assert Stage.load(path).label == "b"
    assert Stage.load(path).id == STAGE.id
