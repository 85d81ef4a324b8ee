"""The plan against an enumeration from first principles, and what is one stage and what is another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from commandline import Planned, done, fill

from xstilts import task as tasks
from xstilts.config import Training
from xstilts.sweep.cell import Cell
from xstilts.sweep.chains import Chains, longest
from xstilts.sweep.grid import Choice
from xstilts.sweep.inputs import Inputs
from xstilts.sweep.plan import Plan

# From first principles: what is trained, in words, without reading conf/ ---------------------------------------------

Mixture = tuple[tuple[str, tuple[str, ...]], ...]  # heads, and the data sets behind each


def one(name: str, *data: str) -> tuple[str, tuple[str, ...]]:
    return name, data or (name,)


ANLI = one("anli", "anli", "mnli", "snli")
NINE = (ANLI, *map(one, ("mnli", "qqp", "squad", "squad_v2", "hellaswag", "ccg", "cosmosqa", "csqa")))
INTER: dict[str, Mixture] = {
    "none": (),
    "anli": (ANLI,),
    **{name: (one(name),) for name in ["mnli", "qqp", "squad", "squad_v2", "hellaswag", "ccg", "cosmosqa", "csqa"]},
    "multitask": NINE,
}
MLM = one("mlm", "mlm_multilingual")
#: the chain of trainings of a target, the head that is evaluated, and on what
TARGET: dict[str, tuple[list[Mixture], str | None, str]] = {
    "xnli": ([(one("mnli"),)], "mnli", "xnli"),
    "xcopa": ([(one("siqa"),), (one("copa"),)], "copa", "xcopa"),
    "udpos": ([(one("udpos"),)], "udpos", "udpos"),
    "panx": ([(one("panx"),)], "panx", "panx"),
    "xquad": ([(one("squad"),)], "squad", "xquad"),
    "mlqa": ([(one("squad"),)], "squad", "mlqa"),
    "tydiqa": ([(one("tydiqa"),)], "tydiqa", "tydiqa"),
    "tatoeba": ([], None, "tatoeba"),
    "mewslix": ([(one("mewslix"),)], "mewslix", "mewslix"),
    "lareqa": ([(one("squad_retrieval"),)], "squad_retrieval", "lareqa"),
    "tatoeba_squad": ([(one("squad"),)], None, "tatoeba"),
    "bucc": ([], None, "bucc"),
    "pawsx": ([(one("pawsx"),)], "pawsx", "pawsx"),
    "udpos_v25": ([(one("udpos_v25"),)], "udpos_v25", "udpos_v25"),
}
XTREME_R = ["xnli", "xcopa", "udpos", "panx", "xquad", "mlqa", "tydiqa", "tatoeba", "mewslix", "lareqa"]
XTREME = ["xnli", "pawsx", "udpos_v25", "panx", "xquad", "mlqa", "tydiqa", "bucc", "tatoeba"]


def stages(model: str, inter: str, regime: str, target: str, recipe: str, seed: int) -> Iterator[tuple[Any, ...]]:
    """What a cell trains and evaluates, each with all it depends on."""
    chain, head, evaluated = TARGET[target]
    extra = (MLM,) if regime == "english_mlm" else ()
    before: tuple[Any, ...] | None = None
    for mixture in [(*INTER[inter], *extra)] * (inter != "none") + chain:
        before = ("train", model, mixture, recipe, seed, before)
        yield before
    yield ("evaluate", model, evaluated, head, before)  # both recipes of these grids read items in the same way


GRIDS: dict[str, dict[str, list[Any]]] = {
    "xtreme_r x all inter x 3 models x 2 seeds": {
        "model": ["base", "large", "xl"], "inter": [*INTER], "target": XTREME_R, "seed": [0, 1],
    },
    "regimes and recipes": {
        "model": ["large"], "inter": ["none", "mnli", "squad"], "regime": ["english", "english_mlm"],
        "target": [*XTREME, "tatoeba_squad"], "recipe": ["phang2020", "matched"], "seed": [3],
    },
    "retrieval without training": {"model": ["base", "large"], "inter": ["none"], "target": ["tatoeba", "bucc"],
                                   "seed": [0, 1, 2]},
    "baselines that nobody typed": {"model": ["base"], "inter": ["qqp"], "target": ["xquad", "mlqa", "tatoeba_squad"],
                                    "seed": [0, 1]},
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_the_stages_are_those_of_an_independent_enumeration(planned: Planned, name: str) -> None:
    grid = {"regime": ["english"], "recipe": ["phang2020"], **GRIDS[name]}
    plan = planned(*(f"{key}={','.join(map(str, values))}" for key, values in grid.items()))
    groups = ("model", "inter", "regime", "target", "recipe", "seed")
    asked = set(product(*(grid[group] for group in groups)))
    wanted = {(m, i, "english" if i == "none" else g, t, r, s) for m, i, g, t, r, s in asked}
    wanted |= {(m, "none", "english", t, r, s) for m, i, g, t, r, s in asked}  # the baselines
    assert {tuple(cell.names.values()) for cell in plan.cells} == wanted
    assert len(plan.cells) == len(wanted)
    assert plan.baseline_added == (0 if "none" in grid["inter"] else len(wanted) // 2)

    ids: dict[tuple[Any, ...], str] = {}
    for cell, chain in zip(plan.cells, plan.chains, strict=True):
        for known, stage in zip(stages(*cell.names.values()), chain, strict=True):
            assert ids.setdefault(known, stage) == stage
    assert len(set(ids.values())) == len(ids) == len(plan.stages)
    assert set(ids.values()) == set(plan.stages)
    for known, stage in ids.items():
        assert plan.stages[stage].kind == known[0]
        assert list(plan.stages[stage].upstream.values()) == ([ids[known[-1]]] if known[-1] else [])


def test_each_stage_comes_after_those_it_starts_from(planned: Planned) -> None:
    plan = planned("inter=mnli,squad,none", "target=xtreme", "seed=0,1")
    order = {stage: place for place, stage in enumerate(plan.stages)}
    for stage in plan.stages.values():
        assert all(order[u] < order[stage.id] for u in stage.upstream.values())
    assert sum(plan.cells_of.values()) == sum(map(len, plan.chains))


# Sharing --------------------------------------------------------------------------------------------------------------


def chains(plan: Plan) -> dict[tuple[str, str, int], list[str]]:
    return {(c.names["inter"], c.names["target"], c.seed): ids for c, ids in zip(plan.cells, plan.chains, strict=True)}


def test_what_is_shared_and_what_is_not(planned: Planned) -> None:
    of = chains(planned("inter=none,mnli,squad", "target=xnli,xquad,mlqa,tatoeba,tatoeba_squad", "seed=0,1"))
    # MLQA is evaluated on what was trained for XQuAD
    assert of["none", "xquad", 0][0] == of["none", "mlqa", 0][0]
    assert of["none", "xquad", 0][1] != of["none", "mlqa", 0][1]
    # SQuAD before XQuAD: SQuAD's second training starts from the first, and is another one
    assert of["squad", "xquad", 0][0] == of["none", "xquad", 0][0]
    assert of["squad", "xquad", 0][1] != of["squad", "xquad", 0][0]
    assert len(of["squad", "xquad", 0]) == 3
    # the intermediate training on MNLI is the target training of XNLI without an intermediate phase
    assert of["mnli", "xquad", 0][0] == of["none", "xnli", 0][0]
    # Tatoeba as the encoder leaves SQuAD is one evaluation, whatever the phase is called
    assert of["squad", "tatoeba", 0] == of["none", "tatoeba_squad", 0]
    # nothing random is in Tatoeba without training
    assert of["none", "tatoeba", 0] == of["none", "tatoeba", 1]
    assert len(of["none", "tatoeba", 0]) == 1
    assert of["mnli", "tatoeba", 0] != of["mnli", "tatoeba", 1]


def test_names_places_and_numerics_change_no_id(planned: Planned, tmp_path: Path) -> None:
    line = ("inter=mnli", "target=xquad,tatoeba")
    plain = planned(*line)
    for other in (
        [f"store={tmp_path / 'elsewhere'}"],
        [f"library={tmp_path / 'elsewhere'}"],
        ["keep=all", "sweep=named", "baseline=true"],
        ["numerics.device=cpu", "numerics.threads=2", "numerics.micro_tokens=512", "numerics.save_every=1"],
        ["hydra.launcher.workers=3", "recipe.about=other", "target.about=other", "model.citation=nobody"],
    ):
        changed = planned(*line, *other)
        assert list(changed.stages) == list(plain.stages), other
    numerics = planned(*line, "numerics.device=cpu").stages
    assert {s.numerics["device"] for s in numerics.values()} == {"cpu"}


# What changes an id ---------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A library with everything that these cells read."""
    names = ("mnli", "anli", "snli", "squad", "siqa", "copa", "xcopa", "xnli", "xquad", "tatoeba", "mlm_multilingual")
    fill(tmp_path / "lib", "hub", *names, models=("base", "large"))
    return tmp_path / "lib"


def ids(cell: Cell, library: Path) -> list[str]:
    """Of a cell's chain, with nothing remembered."""
    return [stage.id for stage in Chains(Inputs(cell.world, library)).chain(cell)]


def changed(cell: Cell, group: str, **values: Any) -> Cell:
    """The cell with other values below a group, as if typed."""
    choice = cell.choices[group]
    raw = {**choice.raw}
    for path, value in values.items():
        *above, last = path.split("__")
        node = raw
        for key in above:
            node[key] = {**node.get(key, {})}
            node = node[key]
        node[last] = value
    new = Choice(group, choice.name, (*choice.values, str(values)), raw)
    return replace(cell, choices={**cell.choices, group: new})


#: another value of every key of a training
LEAVES: dict[str, Any] = {
    "lr": 2e-5, "warmup": 0.2, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.98, "eps": 1e-6, "clip": 0.5,
    "batch_size": 24, "epochs": 1.5, "steps": 77, "max_length": 128, "stride": 64, "max_query_length": 32,
    "dropout": 0.2, "precision": "fp32", "checkpoint": "last", "eval_every": 50, "selection_items": 7, "patience": 3,
    "sampler": "uniform", "temperature": 2.0, "cap": 5, "bucket": 50,
}  # fmt: skip
OF_MIXTURES = {"sampler", "temperature", "cap"}
OF_EVALUATION = {"max_length", "stride", "max_query_length", "precision"}


def test_every_key_of_a_training_is_tried() -> None:
    assert set(LEAVES) == {f.name for f in fields(Training)}


def test_every_key_of_a_recipe_changes_what_it_applies_to(planned: Planned, filled: Path) -> None:
    mixture = "inter.mixture=[{name: mnli, tasks: [mnli]}, {name: squad, tasks: [squad]}]"
    recipe = ("recipe.mixture.sampler=temperature", "recipe.mixture.cap=null")
    (cell,) = planned("inter=mnli", mixture, "target=xquad", *recipe, "baseline=false", f"library={filled}").cells
    before = ids(cell, filled)
    for leaf, value in LEAVES.items():
        inter = ids(changed(cell, "recipe", **{f"inter__{leaf}": value}), filled)
        assert all(a != b for a, b in zip(inter, before, strict=True)), leaf
        target = ids(changed(cell, "recipe", **{f"target__{leaf}": value}), filled)
        one_task = leaf in OF_MIXTURES  # there is nothing to sample from
        assert [a != b for a, b in zip(target, before, strict=True)] == [False, not one_task, not one_task], leaf


def test_of_an_evaluation_without_training_only_how_items_are_read_counts(planned: Planned, filled: Path) -> None:
    (cell,) = planned("inter=none", "target=tatoeba", f"library={filled}").cells
    before = ids(cell, filled)
    for leaf, value in LEAVES.items():
        assert ids(changed(cell, "recipe", **{f"inter__{leaf}": value}), filled) == before, leaf
        if leaf not in OF_MIXTURES:
            after = ids(changed(cell, "recipe", **{f"target__{leaf}": value}), filled)
            assert (after != before) == (leaf in OF_EVALUATION), leaf


def test_what_only_watches_changes_no_weight_of_a_last_checkpoint(planned: Planned, filled: Path) -> None:
    (cell,) = planned("target=xnli", "recipe=matched", f"library={filled}").cells
    before = ids(cell, filled)
    for leaf in ("eval_every", "selection_items", "patience"):
        assert ids(changed(cell, "recipe", **{f"target__{leaf}": LEAVES[leaf]}), filled) == before
    assert ids(changed(cell, "recipe", target__checkpoint="best"), filled) != before


def test_what_a_recipe_says_of_others_changes_nothing(planned: Planned, filled: Path) -> None:
    (cell,) = planned("target=xnli", f"library={filled}").cells
    before = ids(cell, filled)
    others = {"formats__span__lr": 1.0, "tasks__squad__lr": 1.0, "mixture__lr": 1.0, "inter__lr": 1.0, "about": "new"}
    for path, value in others.items():
        assert ids(changed(cell, "recipe", **{path: value}), filled) == before, path
    for path in ("common__lr", "formats__classification__lr", "tasks__mnli__lr", "target__lr"):
        assert ids(changed(cell, "recipe", **{path: 1.0}), filled)[0] != before[0], path


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        ({"config__hidden_dropout_prob": 0.3}, "all"),
        ({"config__max_position_embeddings": 600}, "all"),
        ({"architecture": "xlm-roberta-xl"}, "all"),
        ({"random": True}, "all"),
        ({"retrieval_layer": 3}, "tatoeba"),
        ({"name": "other name, same weights"}, "none"),
        ({"parameters": 3}, "none"),
        ({"about": "x", "licence": "x", "citation": "x", "seen": {"en": 1.0}}, "none"),
        ({"hub": {"id": "x", "revision": "y"}}, "none"),  # the content of the weights counts, once it is there
    ],
    ids=str,
)
def test_of_a_model_what_it_computes_counts(
    planned: Planned, filled: Path, values: dict[str, Any], changes: str
) -> None:
    for cell in planned("target=xnli,tatoeba", "inter=none", f"library={filled}").cells:
        before = ids(cell, filled)
        new = changed(cell, "model", **values)
        model = new.choices["model"].object
        if "name" in values:
            fill(filled, "hub", models=(model.name,))
            manifest = (filled / "models" / "base" / "manifest.json").read_text()
            (filled / "models" / model.name / "manifest.json").write_text(manifest)
        after = ids(replace(new, model=model), filled)
        expected = changes == "all" or (changes == "tatoeba" and cell.names["target"] == "tatoeba")
        assert [a != b for a, b in zip(after, before, strict=True)] == [expected] * len(before)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"labels": ["neutral", "entailment", "contradiction"]}, True),
        ({"metric": "f1"}, True),
        ({"options": {"separator": "tab"}}, True),
        ({"title": "x", "licence": "x", "citation": "x", "notes": "x", "source": {}, "counts": {}}, False),
    ],
    ids=str,
)
def test_of_a_task_what_decides_its_scores_counts(
    planned: Planned, filled: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], expected: bool
) -> None:
    (cell,) = planned("target=xnli", "inter=none", f"library={filled}").cells
    before = ids(cell, filled)
    other = {name: replace(tasks.load(name), **values) for name in ("mnli", "xnli")}
    monkeypatch.setattr(tasks, "load", other.__getitem__)
    assert [a != b for a, b in zip(ids(cell, filled), before, strict=True)] == [expected] * 2


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("mnli/en/train", [True, True, True]),
        ("mnli/en/selection", [True, True, True]),
        ("squad/en/train", [False, True, True]),
        ("squad/en/selection", [False, True, True]),
        ("xquad/de/test", [False, False, True]),
        ("xnli/de/test", [False, False, False]),
    ],
)
def test_the_content_of_every_file_that_is_read_counts(
    planned: Planned, filled: Path, part: str, changes: list[bool]
) -> None:
    (cell,) = planned("inter=mnli", "target=xquad", "baseline=false", f"library={filled}").cells
    before = ids(cell, filled)
    fill(filled, "hub", part.split("/")[0], **{part.replace("/", "__"): "corrected"})
    assert [a != b for a, b in zip(ids(cell, filled), before, strict=True)] == changes


def test_the_weights_and_the_tokenizer_count(planned: Planned, filled: Path) -> None:
    (cell,) = planned("target=tatoeba", "inter=none", f"library={filled}").cells
    manifest = filled / "models" / "base" / "manifest.json"
    known = manifest.read_text()
    found = set(ids(cell, filled))
    for old, new in (("weights of base", "weights of base again"), ('"bpe"', '"unigram"')):
        manifest.write_text(known.replace(old, new))
        found |= set(ids(cell, filled))
    assert len(found) == 3


def test_a_languages_absence_is_another_evaluation(planned: Planned, filled: Path) -> None:
    (cell,) = planned("target=tatoeba", "inter=none", f"library={filled}").cells
    before = ids(cell, filled)
    manifest = filled / "data" / "tatoeba" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"sw/test"', '"zz/test"'))
    assert ids(cell, filled) != before


def test_filling_the_library_makes_provisional_ids_real(planned: Planned, filled: Path) -> None:
    line = ("inter=mnli", "target=xnli")
    before, after = planned(*line), planned(*line, f"library={filled}")
    assert before.provisional
    assert not after.provisional
    assert set(before.stages).isdisjoint(after.stages)
    assert len(before.stages) == len(after.stages)


def test_the_first_selection_set_of_an_entrys_tasks_selects(planned: Planned, filled: Path) -> None:
    typed = "inter.mixture=[{name: mix, tasks: [mnli, snli]}]"
    plan = planned("inter=mnli", typed, "target=tatoeba", "baseline=false", f"library={filled}")
    train = plan.stages[plan.chains[0][0]]
    (entry,) = train.spec["mixture"]
    assert [(p["task"], p["part"]) for p in entry["train"]] == [("mnli", "en/train"), ("snli", "en/train")]
    assert (entry["selection"]["task"], entry["selection"]["part"]) == ("mnli", "en/selection")


def test_a_selection_set_is_that_of_the_task_that_has_one(
    planned: Planned, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = planned("inter=anli", "target=tatoeba", "baseline=false", f"library={filled}").cells
    without = {"anli": replace(tasks.load("anli"), selection=None)}
    monkeypatch.setattr(tasks, "load", lambda name, load=tasks.load: without.get(name) or load(name))
    train = Chains(Inputs(cell.world, filled)).chain(cell)[0]
    assert train.spec["mixture"][0]["selection"]["task"] == "mnli"


def test_positions_are_those_of_the_encoder() -> None:
    """The rule is written twice, since planning does not import torch."""
    from transformers import AutoConfig

    from xstilts.config import Model
    from xstilts.model import adapters

    for architecture in adapters.ADAPTERS:
        config = AutoConfig.for_model(architecture)
        values = {"max_position_embeddings": 100, "pad_token_id": 1}
        first = adapters.get(architecture).first_position(AutoConfig.for_model(architecture, **values))
        assert longest(Model("m", architecture=architecture, config=values)) == 100 - first, config.model_type


# What is left to run --------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_needed_again(planned: Planned) -> None:
    line = ("inter=mnli", "target=xquad,mlqa", "baseline=false")
    plan = planned(*line)
    (inter, squad, xquad), (_, _, mlqa) = plan.chains
    assert list(plan.needed()) == list(plan.stages)
    done(plan, inter)
    assert list(plan.needed()) == [squad, xquad, mlqa]
    done(plan, squad)
    done(plan, xquad)
    assert list(plan.needed()) == [mlqa]
    done(plan, mlqa)
    assert plan.needed() == {}
    assert plan.done() == set(plan.stages)
    assert planned(*line).needed() == {}  # the same command again


def test_evicted_weights_are_needed_again_when_something_starts_from_them(planned: Planned) -> None:
    plan = planned("inter=mnli", "target=xquad,mlqa", "baseline=false")
    (inter, squad, xquad), (_, _, mlqa) = plan.chains
    for stage in (inter, squad):
        done(plan, stage, weights=False)
    done(plan, xquad)
    assert list(plan.needed()) == [inter, squad, mlqa]
    done(plan, mlqa)
    assert plan.needed() == {}


def test_what_another_store_has_is_not_needed(planned: Planned, tmp_path: Path) -> None:
    line = ("inter=mnli", "target=xnli")
    theirs = planned(*line, f"store={tmp_path / 'theirs'}")
    for stage in theirs.stages:
        done(theirs, stage)
    mine = planned(*line, f"store.path={tmp_path / 'mine'}", f"store.read=[{tmp_path / 'theirs'}]")
    assert mine.needed() == {}
    assert planned(*line, f"store.path={tmp_path / 'mine'}").needed() != {}


def test_two_worlds_of_one_sweep_have_a_library_each(planned: Planned) -> None:
    plan = planned("world=hub,toy", "target=xnli", "inter=none", "recipe=toy")
    assert sorted(plan.worlds) == ["hub", "toy"]
    assert len({inputs.root for inputs in plan.worlds.values()}) == 2
    for cell, chain in zip(plan.cells, plan.chains, strict=True):
        assert {plan.stages[s].place["library"] for s in chain} == {str(plan.inputs(cell).root.absolute())}
