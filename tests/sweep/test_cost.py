"""Compute, disk and the longest path, against numbers counted by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from commandline import Planned, chain, done

from xstilts.stage import Stage
from xstilts.sweep.asked import Asked
from xstilts.sweep.cost import Cost, costs, longest, peak_disk, priorities, seed, shared, tokens
from xstilts.sweep.measured import measured

BASE, BLOCKS = 277453056, 277453056 - 250002 * 768
RECIPE = {"steps": None, "epochs": 2, "batch_size": 10, "max_length": 100}
RECIPE |= {"sampler": "proportional", "temperature": 1.0, "cap": None}


def entry(rows: int | None, form: str = "classification", rate: float | None = None) -> dict[str, Any]:
    return {"train": [{"rows": rows}], "task": {"format": form}, "rate": rate}


def train(*mixture: dict[str, Any], **recipe: Any) -> Stage:
    return Stage("train", {"recipe": {**RECIPE, **recipe}, "mixture": list(mixture)})


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (train(entry(50)), 2 * 50 * 40),
        (train(entry(50, "span")), 2 * 50 * 100),  # windows end at max_length
        (train(entry(50), steps=7, epochs=None), 70 * 40),
        (train(entry(30), entry(10, "tagging")), 2 * (30 * 40 + 10 * 28)),
        (train(entry(30), entry(10, "tagging"), sampler="uniform"), 2 * 40 * (40 + 28) / 2),
        (train(entry(30), entry(10, "tagging"), sampler="temperature", cap=10), 2 * 40 * (40 + 28) / 2),
        (train(entry(90), entry(10, "tagging"), sampler="temperature", temperature=2.0), 2 * 100 * (3 * 40 + 28) / 4),
        # a corpus at half of the steps comes on top of the task's epochs, however large it is
        (train(entry(50), entry(10**9, "mlm", 0.5)), 2 * 50 * 40 + 2 * 50 * 100),
        (train(entry(50), entry(10**9, "mlm", 0.25), steps=8, epochs=None), 60 * 40 + 20 * 100),
        (Stage("evaluate", {"task": {"format": "nearest"}, "parts": {"a": {"rows": 3}, "b": {"rows": 4}}}), 7 * 30),
    ],
)
def test_tokens(stage: Stage, expected: float) -> None:
    assert tokens(stage) == pytest.approx(expected)


@pytest.mark.parametrize(
    "stage",
    [
        train(entry(None)),
        train(entry(5), entry(None)),
        train({**entry(5), "train": [{"rows": 5}, {"rows": None}]}),
        Stage("evaluate", {"task": {"format": "nearest"}, "parts": {"a": {"rows": 3}, "b": {"rows": None}}}),
    ],
)
def test_an_unknown_size_makes_no_number(stage: Stage) -> None:
    assert math.isnan(tokens(stage))


def test_compute_and_disk_of_a_chain(planned: Planned) -> None:
    plan = planned("inter=mnli", "target=xnli,tatoeba", "baseline=false")
    cost = costs(plan)
    mnli, again, xnli = chain(plan, target="xnli")
    _, tatoeba = chain(plan, target="tatoeba")
    read = 392702 * 40 * 2  # two epochs, by recipe
    for stage in (mnli, again):
        assert replace(cost[stage], memory=0) == Cost(6 * BLOCKS * read, None, BASE * 4, BASE * 12, bound=True)
        assert cost[stage].memory > BASE * 16
    assert replace(cost[xnli], memory=0) == Cost(2 * BLOCKS * 15 * (2490 + 5010) * 40, None, 0, 0)
    rows = sum(part["rows"] for part in plan.stages[tatoeba].spec["parts"].values())
    assert rows > 30000
    assert cost[tatoeba].flop == 2 * (BLOCKS * 7 // 12) * rows * 30  # 7 of 12 layers


def test_what_sharing_saves(planned: Planned) -> None:
    """Counted by hand: mnli comes before both targets, and a job a cell would train it twice."""
    plan = planned("recipe=matched", "inter=mnli", "target=pawsx,panx", "baseline=false")
    each = {stage.label: costs(plan)[stage.id].flop for stage in plan.stages.values()}
    once = math.fsum(count for count in each.values() if not math.isnan(count))
    assert shared(plan) == pytest.approx((once + each["base > mnli"]) / once)
    assert shared(planned("inter=none", "target=panx")) == 1


def test_the_longest_path_and_what_goes_first(planned: Planned) -> None:
    plan = planned("inter=none,mnli", "target=xnli,tatoeba", "model=base,large")
    cost = costs(plan)
    assert longest(plan, cost) == chain(plan, model="large", inter="mnli", target="xnli")
    first = priorities(plan, plan.stages)
    for stage in plan.stages.values():
        below = [first[child] for child in plan.children.get(stage.id, ())]
        assert first[stage.id] == cost[stage.id].flop + max(below, default=0)
    assert max(first, key=first.__getitem__) == longest(plan, cost)[0]


def on(device: str) -> Callable[[Stage], Asked]:
    """What a launcher asks for."""
    return lambda stage: Asked("here", 1, None, device=device)


def test_unknown_sizes_do_not_break_the_order(planned: Planned) -> None:
    plan = planned("inter=none,mnli", "target=xquad,xnli")
    plan.stages[chain(plan, inter="none", target="xnli")[0]].spec["mixture"][0]["train"][0]["rows"] = None
    first = priorities(plan, plan.stages)
    assert all(value == value for value in first.values())
    assert longest(plan, costs(plan))


def test_measured_stages_give_seconds_to_their_like(planned: Planned) -> None:
    plan = planned("inter=none,mnli", "target=xnli", "model=base,large")
    assert all(c.seconds is None for c in costs(plan).values())
    train, evaluate = chain(plan, model="base", inter="none")
    done(plan, train, seconds=100.0)
    cost = costs(plan)
    for stage in plan.stages.values():
        like = stage.kind == "train" and stage.about["model"] == "base"
        assert cost[stage.id].seconds == (pytest.approx(100.0) if like else None), stage.label
    assert cost[evaluate].seconds is None


def test_other_sweeps_of_the_store_are_measures_too(planned: Planned) -> None:
    earlier = planned("inter=squad", "target=xquad", "model=base", "baseline=false")
    notes = {"tokens": 5000, "peak_memory": 3 * 10**9, "machine": {"device": "some GPU"}}
    done(earlier, chain(earlier)[0], model="base", seconds=50.0, notes=notes)
    plan = planned("inter=mnli", "target=xnli", "model=base,large")
    cost = costs(plan, on("cuda"))
    for name, stage in plan.stages.items():
        like = stage.kind == "train" and stage.about["model"] == "base"
        assert cost[name].seconds == (pytest.approx(tokens(stage) / 100) if like else None)
        assert (cost[name].memory == 3 * 10**9) == cost[name].measured == like
    assert measured(plan, on("cuda")).devices == ["some GPU"]


@pytest.mark.parametrize(("device", "name"), [("cpu", "cpu"), ("cuda", "some GPU")])
def test_a_cpu_says_nothing_of_a_gpu(planned: Planned, device: str, name: str) -> None:
    """A rehearsal on a workstation, then the cluster, in one store: whether its own plan or an earlier one's."""
    plan = planned("inter=mnli", "target=xnli", "model=base")
    notes = {"tokens": 5000, "peak_memory": 3 * 10**9, "machine": {"device": name}}
    first, train, _ = chain(plan, inter="mnli")
    done(plan, first, seconds=50.0, notes=notes)
    for asked in ("cpu", "cuda"):
        cost = costs(plan, on(asked))[train]
        assert (cost.seconds is not None) == cost.measured == (asked == device)
        assert measured(plan, on(asked)).devices == ([name] if asked == device else [])


def test_seed_first(planned: Planned) -> None:
    plan = planned("inter=none,mnli", "target=xnli,tatoeba", "seed=3,1", "order=seed_first")
    first = priorities(plan, plan.stages)
    order = sorted(plan.stages, key=lambda stage: -first[stage])
    seeds = [seed(plan, stage) for stage in order]
    assert seeds == sorted(seeds)
    assert set(seeds) == {-math.inf, 1, 3}  # tatoeba by the pretrained model has none
    alike = planned("inter=none,mnli", "target=xnli,tatoeba", "seed=3,1")
    assert set(alike.stages) == set(plan.stages)  # the order is no part of what a stage is


def test_peak_disk_follows_keep(planned: Planned) -> None:
    line = ("inter=mnli", "target=xnli,xquad", "baseline=false")
    weights, state = BASE * 4, BASE * 12
    for keep, workers, expected in (
        ("inter", 1, weights + state + weights),  # MNLI's stays; one target is trained
        ("inter", 2, weights + 2 * (state + weights)),
        ("scores", 1, weights + state + weights),
        ("all", 1, 3 * weights + state),
        ("all", 2, 3 * weights + 2 * state),
    ):
        plan = planned(*line, f"keep={keep}")
        assert peak_disk(plan, costs(plan), workers) == expected, (keep, workers)
