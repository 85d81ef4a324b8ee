"""The fast path against Hydra's own composition of every cell, and what becomes of what was typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from xstilts.config import GROUPS
from xstilts.errors import UserError
from xstilts.store import Store
from xstilts.sweep import compose as compose_module
from xstilts.sweep import grid as grid_module
from xstilts.sweep.cell import Cell
from xstilts.sweep.check import check
from xstilts.sweep.compose import compose, loader
from xstilts.sweep.grid import Grid, Point
from xstilts.sweep.plan import Planner
from xstilts.task import CONF

FILES = {
    "recipe/heir.yaml": "defaults: [phang2020, _self_]\nname: heir\ncommon: {lr: 2.0e-5}\n",
    "recipe/aware.yaml": "name: aware\nabout: for ${recipe.name}\ncommon: {lr: 1e-5, dropout: 0.0}\n",
    "target/pair.yaml": "name: pair\nsuite: [xnli, tatoeba]\n",
    "target/pairs.yaml": "name: pairs\nsuite: [pair, xquad, xnli]\n",
    "target/broken.yaml": "name: broken\nsuite: [xnli, tatoba]\n",
    "experiment/body.yaml": """# @package _global_
defaults:
  - override /recipe: matched
  - override /model: large
seed: 3
keep: all
recipe: {target: {lr: 4e-5, precision: fp32}, tasks: {mnli: {epochs: 1.5}}, about: "a: b, {c} [d] ü"}
inter: {about: changed}
hydra: {sweeper: {params: {inter: "mnli,squad", "recipe.common.clip": [1.0, 0.5]}}}
""",
    "experiment/heirs.yaml": """# @package _global_
defaults:
  - body
  - _self_
recipe: {inter: {warmup: 0}}
hydra: {sweeper: {params: {target: [xnli, tatoeba]}}}
""",
    "experiment/alone.yaml": "# @package _global_\nhydra: {sweeper: {params: {target: pair, seed: '5,6'}}}\n",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigLoader]:
    """A copy of conf/ with groups and experiments as users write them."""
    copy = tmp_path_factory.mktemp("own") / "conf"
    shutil.copytree(CONF, copy)
    for name, text in FILES.items():
        (copy / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose_module, "CONF", copy)
        patch.setattr(grid_module, "CONF", copy)
        yield loader()


def gridded(found: ConfigLoader, *typed: str) -> Grid:
    """As the sweeper makes it: checked, with the experiment's params."""
    arguments = check(typed)
    named = any(t.startswith("experiment") for t in typed)
    sweeper = compose(found, arguments, mode=RunMode.MULTIRUN).hydra.sweeper if named else {}
    return Grid(arguments, sweeper.get("params") or {}, found, "config")


def cells(grid: Grid, baseline: bool = True) -> list[Cell]:
    return Planner(grid, Store(Path("nowhere")), None, baseline, "inter", {}).cells()[0]


def compare(found: ConfigLoader, one: Point | Cell) -> None:
    """A cell's parts are what Hydra makes of its overrides."""
    whole = compose(found, one.overrides)
    for group in GROUPS:
        assert OmegaConf.to_container(whole[group], resolve=True) == one.choices[group].raw, (group, one.overrides)
        assert whole.hydra.runtime.choices[group] == one.choices[group].name
    assert whole.seed == one.seed


def names(points: list[Any], *groups: str) -> list[tuple[str, ...]]:
    return [tuple(p.choices[g].label for g in groups) for p in points]


# the property ---------------------------------------------------------------------------------------------------------

SPECIAL = st.text(st.sampled_from('aß漢z =,:[]{}"@!#%&*?|<>~^+-/.'), min_size=1, max_size=12)


def written(values: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([",".join(values), f"[{','.join(values)}]", *(["choice(" + ",".join(values) + ")"])])


def sweep(key: str, values: list[str], most: int = 2) -> st.SearchStrategy[str]:
    """One value, or a list in one of Hydra's ways."""
    chosen = st.lists(st.sampled_from(values), min_size=1, max_size=most)
    return chosen.flatmap(lambda v: written(v) if len(v) > 1 else st.just(v[0])).map(lambda text: f"{key}={text}")


CHOICES = {
    "model": sweep("model", ["base", "large", "xl", "mini"]),
    "inter": sweep("inter", ["none", "mnli", "anli", "multitask", "mlm_en"]),
    "regime": sweep("regime", ["english", "english_mlm", "translated"]),
    "target": sweep("target", ["xnli", "tatoeba", "xcopa", "pair", "pairs"]),
    "recipe": sweep("recipe", ["phang2020", "matched", "heir", "aware", "toy"]),
    "seed": sweep("seed", ["0", "1", "7"]),
    "experiment": st.sampled_from(["experiment=body", "experiment=heirs", "experiment=alone", "experiment=phang2020"]),
}
VALUES = {
    "recipe.target.lr": sweep("recipe.target.lr", ["1e-5", "0.00001", "3.5e-05", "1", "null"]),
    "recipe.common.precision": sweep("recipe.common.precision", ["fp32", "bf16"]),
    "recipe.tasks.mnli.epochs": sweep("recipe.tasks.mnli.epochs", ["1", "2.5"]),
    "recipe.formats.span": st.just("recipe.formats.span={lr: 1e-6, batch_size: 8}"),
    "recipe.about": SPECIAL.map(lambda text: f"recipe.about='{text}'"),
    "model.config.hidden_dropout_prob": sweep("model.config.hidden_dropout_prob", ["0", "0.1", "2e-1"]),
    "model.about": SPECIAL.map(lambda text: f"model.about='{text}'"),
    "inter.about": sweep("inter.about", ["one", "'two, three'", "true"]),
    "target.same_task": st.sampled_from(["target.same_task=[squad,mnli]", "target.same_task=[]"]),
    "regime.languages": st.just("regime.languages=[en]"),
    "world.sizes.train": sweep("world.sizes.train", ["10"], 1),
    "keep": st.just("keep=all"),
    "numerics.threads": st.just("numerics.threads=2"),
}


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    keys = [
        *draw(st.lists(st.sampled_from(sorted(CHOICES)), unique=True, max_size=4)),
        *draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=3)),
    ]
    typed = [draw({**CHOICES, **VALUES}[key]) for key in keys]
    return draw(st.permutations(typed))


@settings(max_examples=8)
@given(lines(), st.integers(0, 10**6))
def test_the_fast_path_is_what_hydra_composes(own: ConfigLoader, typed: list[str], pick: int) -> None:
    made = cells(gridded(own, *typed))
    for place in {(pick + step * max(1, len(made) // 3)) % len(made) for step in range(3)}:
        compare(own, made[place])
    assert len(set(names(made, *GROUPS))) * len({c.seed for c in made}) == len(made)


@pytest.mark.parametrize(
    "line",
    [
        "experiment=body target=xnli",
        "experiment=heirs inter=mnli",
        "experiment=alone recipe=heir,aware",
        "inter=none,mnli inter.about=x,y target=tatoeba regime=english,english_mlm",
        "recipe=heir recipe.common.lr=1e-5,3e-5 target=xnli",
        "recipe.about='[a] {b}: \"c\", ü = d' target=xnli",
        "world=toy model=base,large target=pairs recipe=toy",
    ],
)
def test_every_cell_of_some_grids(own: ConfigLoader, line: str) -> None:
    typed = line.rsplit(" ", 1) if "'" in line else line.split()
    for one in cells(gridded(own, *typed)):
        compare(own, one)


def test_every_cell_of_a_committed_experiment(found: ConfigLoader) -> None:
    """All choices of the largest grid, in one cell each: the fast path has no room for surprises between them."""
    grid = gridded(found, "experiment=scale")
    seen: set[tuple[str, str]] = set()
    for one in cells(grid):
        mine = {(group, choice.label) for group, choice in one.choices.items()}
        if not mine <= seen:
            compare(found, one)
            seen |= mine


# what becomes of what was typed --------------------------------------------------------------------------------------


def test_an_experiment_fills_in_and_the_command_line_wins(own: ConfigLoader) -> None:
    points = gridded(own, "experiment=body", "target=xnli").points()
    assert {p.choices["model"].name for p in points} == {"large"}
    assert names(points, "inter", "recipe") == [
        (inter, f"matched[common.clip={clip}]") for inter in ("mnli", "squad") for clip in ("1.0", "0.5")
    ]
    assert {p.seed for p in points} == {3}
    assert all(p.choices["recipe"].object.target.lr == 4e-5 for p in points)
    typed = gridded(own, "experiment=body", "inter=none", "recipe=toy", "seed=9", "target=xnli", "recipe.target.lr=1")
    assert names(typed.points(), "inter", "recipe") == [
        ("none", "toy[target.lr=1,common.clip=1.0]"),
        ("none", "toy[target.lr=1,common.clip=0.5]"),
    ]
    assert {p.seed for p in typed.points()} == {9}
    assert {p.choices["recipe"].object.target.lr for p in typed.points()} == {1.0}


def test_suites_become_their_members_once(own: ConfigLoader) -> None:
    points = gridded(own, "target=pairs,tatoeba,xcopa").points()
    assert names(points, "target") == [("xnli",), ("tatoeba",), ("xquad",), ("xcopa",)]


def test_a_suite_of_nobody(own: ConfigLoader) -> None:
    with pytest.raises(UserError, match=r"target=broken: its suite names 'tatoba'; did you mean 'tatoeba'"):
        gridded(own, "target=broken").points()


def test_equal_values_are_one_however_they_are_written(found: ConfigLoader) -> None:
    points = gridded(found, "recipe.target.lr=1e-5,0.00001,1.0e-05,2e-5", "target=xnli", "seed=1,01,2,1").points()
    assert [(p.choices["recipe"].label, p.seed) for p in points] == [
        (f"phang2020[target.lr={lr}]", seed) for lr in ("1e-05", "2e-05") for seed in (1, 2)
    ]


def test_duplicates_collapse_and_the_order_is_that_of_the_groups(found: ConfigLoader) -> None:
    points = gridded(found, "seed=1,0", "target=xnli,tatoeba,xnli", "model=large,base,large").points()
    assert [(*names([p], "model", "target")[0], p.seed) for p in points] == [
        (model, target, seed) for model in ("large", "base") for target in ("xnli", "tatoeba") for seed in (1, 0)
    ]


def test_commas_and_brackets_are_the_same(found: ConfigLoader) -> None:
    commas = gridded(found, "model=base,large", "target=xnli,tatoeba", "seed=0,1").points()
    brackets = gridded(found, "model=[base,large]", "target=[xnli,tatoeba]", "seed=[0,1]").points()
    assert [p.overrides for p in commas] == [p.overrides for p in brackets]
    assert len(commas) == 8


def test_a_list_below_a_group_is_one_value(found: ConfigLoader) -> None:
    (point,) = gridded(found, "target=xnli", "target.same_task=[a,b]").points()
    assert point.choices["target"].object.same_task == ["a", "b"]


def test_ranges_and_patterns(found: ConfigLoader) -> None:
    points = gridded(found, "seed=range(3)", "target=xnli", "model=glob([b*,l*])").points()
    assert [(p.choices["model"].name, p.seed) for p in points] == [(m, s) for m in ("base", "large") for s in range(3)]


# baselines ------------------------------------------------------------------------------------------------------------


def test_baselines_are_added_once_and_only_where_they_lack(found: ConfigLoader) -> None:
    typed = ["model=base,large", "inter=mnli,squad", "target=xnli,tatoeba", "seed=0,1"]
    grid = gridded(found, *typed)
    made, added = Planner(grid, Store(Path("nowhere")), None, True, "inter", {}).cells()
    assert added == 2 * 2 * 2
    assert len(made) == 16 + added
    asked, base = made[:16], made[16:]
    assert {c.names["inter"] for c in asked} == {"mnli", "squad"}
    assert {c.names["inter"] for c in base} == {"none"}
    assert len({tuple(c.names.values()) for c in made}) == len(made)
    assert names(cells(grid, baseline=False), *GROUPS) == names(asked, *GROUPS)
    assert names(cells(gridded(found, *typed[:1], "inter=mnli,squad,none", *typed[2:])), "inter").count(("none",)) == 8


def test_without_an_intermediate_phase_there_is_nothing_for_a_regime(found: ConfigLoader) -> None:
    made = cells(gridded(found, "inter=none,mnli", "regime=english,english_mlm", "target=xnli"))
    assert names(made, "inter", "regime") == [("none", "english"), ("mnli", "english"), ("mnli", "english_mlm")]


@pytest.mark.parametrize("more", [(), ("experiment=body",), ("experiment=heirs",)], ids=" ".join)
def test_the_baseline_has_nothing_of_what_is_set_of_others(own: ConfigLoader, more: tuple[str, ...]) -> None:
    """Else one sweep's baseline has another name than the next one's, or is none."""
    mixture = "inter.mixture=[{name: mnli, tasks: [mnli]}]"
    made = cells(gridded(own, "inter=squad", mixture, "regime.languages=[en,de]", "target=xnli", *more))
    of = {cell.names["inter"]: cell for cell in made}
    assert of["none"].names["regime"] == "english"
    assert of["none"].regime.languages == ["en"]
    assert not of["none"].inter.mixture
    (other,) = set(of) - {"none"}
    assert of[other].names["regime"] == "english[languages=[en,de]]"
    assert of[other].inter.mixture


def test_baselines_keep_what_was_set_for_all(found: ConfigLoader) -> None:
    made = cells(gridded(found, "inter=mnli", "regime=english_mlm", "target=xnli", "recipe.target.lr=1e-5,2e-5"))
    assert names(made, "inter", "regime", "recipe") == [
        (inter, regime, f"phang2020[target.lr={lr}]")
        for inter, regime in (("mnli", "english_mlm"), ("none", "english"))
        for lr in ("1e-05", "2e-05")
    ]


# -m ------------------------------------------------------------------------------------------------------------------


def test_with_and_without_m_it_is_the_same(tmp_path: Path) -> None:
    said = []
    for flags in ([], ["-m"]):
        command = [sys.executable, str(CONF.parent / "launch.py"), *flags, "do=plan", "experiment=demo", "seed=0,1"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HYDRA")}
        ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
        said.append(ended.stdout)
    assert said[0] == said[1]
    assert said[0].startswith("48 cells")
    assert list(tmp_path.iterdir()) == []
