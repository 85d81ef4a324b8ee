"""A cell and its chain: who it is in tables, what it trains in which order, and how it reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commandline import Planned, chain

from xstilts.errors import UserError
from xstilts.sweep.chains import Chains
from xstilts.sweep.inputs import Inputs
from xstilts.sweep.plan import Plan


def labels(plan: Plan, **names: Any) -> list[str]:
    return [plan.stages[s].label for s in chain(plan, **names)]


def heads(plan: Plan, stage: str) -> list[str]:
    return [entry["name"] for entry in plan.stages[stage].spec["mixture"]]


def test_names_say_what_was_changed(planned: Planned) -> None:
    plan = planned(
        "model=large", "inter=mnli", "target=xnli", "seed=3", "recipe.target.lr=2e-5", "recipe.inter.epochs=1",
        "target.about=x", "baseline=false",
    )  # fmt: skip
    (cell,) = plan.cells
    assert cell.names == {
        "model": "large",
        "inter": "mnli",
        "regime": "english",
        "target": "xnli[about=x]",
        "recipe": "phang2020[target.lr=2e-05,inter.epochs=1]",
        "seed": 3,
    }


def test_a_world_is_the_same_wherever_its_folders_lie(planned: Planned) -> None:
    moved = [planned("target=tatoeba", "model=mini", "world=files", f"world.root=/{name}") for name in ("one", "two")]
    assert [plan.cells[0].place for plan in moved] == ["files", "files"]
    (cell,) = planned("target=tatoeba", "world=toy", "recipe=toy", "world.weights=null", "world.seed=3").cells
    assert cell.place == "toy[weights=null,seed=3]", "toy weights are other models"


def test_overrides_and_a_swept_value_give_the_same_cell(planned: Planned) -> None:
    alone = planned("target=xnli", "recipe.target.lr=0.00002")
    swept = planned("target=xnli", "recipe.target.lr=1e-5,2e-5")
    assert alone.cells[0].names == swept.cells[1].names
    assert alone.chains[0] == swept.chains[1]


def test_a_chain_is_told_by_its_labels(planned: Planned) -> None:
    plan = planned("inter=multitask,none", "target=xcopa,tatoeba", "model=large")
    nine = "anli+mnli+qqp+squad+squad_v2+hellaswag+ccg+cosmosqa+csqa"
    assert labels(plan, inter="multitask", target="xcopa") == [
        f"large > {nine}",
        f"large > {nine} > siqa",
        f"large > {nine} > siqa > copa",
        f"large > {nine} > siqa > copa : xcopa",
    ]
    assert labels(plan, inter="none", target="tatoeba") == ["large : tatoeba"]


def test_pretraining_comes_first_and_is_shared_by_all(planned: Planned) -> None:
    plan = planned("target=tatoeba", "inter=none,mnli", "model=base")
    assert [plan.stages[s].kind for s in chain(plan, inter="none")] == ["evaluate"]
    entry = "{name: mlm_en, tasks: [mlm_en]}"
    plan = planned("target=tatoeba", "inter=none,mnli", "model=mini", f"model.pretrain=[{entry}]")
    none, mnli = chain(plan, inter="none"), chain(plan, inter="mnli")
    assert none[0] == mnli[0]
    assert heads(plan, none[0]) == ["mlm_en"]
    assert plan.stages[none[0]].upstream == {}
    assert plan.stages[mnli[1]].upstream == {"init": none[0]}
    assert plan.stages[none[1]].upstream == {"checkpoint": none[0]}
    assert plan.stages[none[0]].spec["model"]["weights"] is None  # trained from random ones


def test_phases_take_their_own_section_of_a_recipe(planned: Planned) -> None:
    plan = planned("inter=mnli", "target=xnli", "baseline=false", "recipe.inter.lr=1", "recipe.target.lr=2")
    first, second = (plan.stages[s].spec["recipe"] for s in chain(plan)[:2])
    assert (first["lr"], second["lr"]) == (1.0, 2.0)
    assert {k: v for k, v in first.items() if k != "lr"} == {k: v for k, v in second.items() if k != "lr"}


def test_only_the_intermediate_phase_is_fed_by_the_regime(planned: Planned) -> None:
    plan = planned("inter=mnli", "target=xnli", "regime=english,english_mlm,translated", "baseline=false")
    english, mlm, translated = (chain(plan, regime=r) for r in ("english", "english_mlm", "translated"))
    assert heads(plan, english[0]) == ["mnli"]
    assert heads(plan, mlm[0]) == ["mnli", "mlm"]
    assert plan.stages[mlm[0]].spec["mixture"][1]["rate"] == 0.5
    read = [(part["task"], part["part"]) for part in plan.stages[translated[0]].spec["mixture"][0]["train"]]
    assert read == [("mnli", "en/train"), ("mnli.de", "de/train"), ("mnli.ru", "ru/train"), ("mnli.sw", "sw/train")]
    for ids in (english, mlm, translated):
        (entry,) = plan.stages[ids[1]].spec["mixture"]
        assert [(part["task"], part["part"]) for part in entry["train"]] == [("mnli", "en/train")]
        assert entry["selection"]["part"] == "en/selection"


def test_retrieval_reads_a_layer_and_others_a_head(planned: Planned) -> None:
    plan = planned("inter=none", "target=xtreme_r,bucc,tatoeba_squad", "model=base,large,xl")
    layers = {"base": 7, "large": 14, "xl": 21}
    for cell, ids in zip(plan.cells, plan.chains, strict=True):
        spec = plan.stages[ids[-1]].spec
        if cell.names["target"] in ("tatoeba", "bucc", "tatoeba_squad"):
            assert (spec["head"], spec["layer"]) == (None, layers[cell.names["model"]])
        else:
            assert spec["layer"] is None
            assert spec["head"] in heads(plan, ids[-2])


def test_an_evaluation_reads_every_language_and_no_test_item_was_trained_or_selected_on(planned: Planned) -> None:
    plan = planned("inter=mnli", "target=xtreme_r,xtreme", "baseline=false")
    for ids in plan.chains:
        evaluated = plan.stages[ids[-1]]
        parts = set(evaluated.spec["parts"])
        assert {p.split("/")[0] for p in parts} - {"all"} == set(evaluated.about["languages"])
        for stage in ids[:-1]:
            for entry in plan.stages[stage].spec["mixture"]:
                used = {(p["task"], p["part"]) for p in [*entry["train"], entry["selection"] or entry["train"][0]]}
                name = evaluated.spec["task"]["name"]
                assert not used & {(name, part) for part in parts if part.endswith("/test")}
                assert not {part for _, part in used if part.endswith("/test")}


def test_the_toy_world_has_models_of_its_own(planned: Planned) -> None:
    plan = planned("world=toy", "recipe=toy", "model=base,xl", "target=xnli", "inter=none")
    base, xl = plan.cells
    assert base.names["model"] == "base"  # the same rows of the same table
    assert base.model.parameters < xl.model.parameters < 10_000_000
    assert base.model.config["vocab_size"] < 10_000
    assert {c.world.synthetic for c in plan.cells} == {True}


def test_a_recipe_that_leaves_something_open_says_what(planned: Planned, tmp_path: Path) -> None:
    (cell,) = planned("target=xnli").cells
    choice = cell.choices["recipe"]
    for missing in ("lr", "batch_size", "precision", "epochs"):
        common = {k: v for k, v in choice.raw["common"].items() if k != missing}
        raw = {**choice.raw, "common": common, "tasks": {}, "formats": {}, "models": {}}
        open_ = replace(cell, choices={**cell.choices, "recipe": type(choice)("recipe", "mine", (), raw)})
        expected = "steps or epochs" if missing == "epochs" else missing
        with pytest.raises(UserError, match=rf"does not say .*{expected} for mnli in the target phase"):
            Chains(Inputs(cell.world, tmp_path)).chain(open_)
