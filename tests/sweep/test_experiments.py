"""Named grids: how many unique stages they are, by another way of counting, and what they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from xstilts.sweep import describe
from xstilts.sweep.check import check
from xstilts.sweep.command import Command
from xstilts.sweep.compose import loader
from xstilts.sweep.plan import Plan
from xstilts.task import CONF

EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def plan(store: Path, *arguments: str) -> Plan:
    line = check([*arguments, f"store={store}"])
    base = Command(line, {}, loader(), "config")
    return Command(line, dict(base.base.hydra.sweeper.params or {}), loader(), "config").planned()


def group(name: str) -> dict[str, Any]:
    return {p.stem: yaml.safe_load(p.read_text()) for p in (CONF / name).glob("*.yaml")}


def counted(name: str) -> tuple[int, int]:
    """Trainings and evaluations of an experiment from its own files, as sets of what they are done in order on.

    A training is a chain of mixtures, and the same in whatever phase; what is evaluated without any training is the
    same for every seed, and for every recipe that reads sentences alike.
    """
    params = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text())["hydra"]["sweeper"]["params"]
    axes = {key: str(value).split(",") for key, value in params.items()}
    inters, targets = group("inter"), group("target")
    members = [t for target in axes["target"] for t in targets[target].get("suite", [target])]
    trainings: set[tuple[Any, ...]] = set()
    evaluations: set[tuple[Any, ...]] = set()

    def heads(mixture: list[dict[str, Any]]) -> tuple[Any, ...]:
        return tuple((entry["name"], *entry["tasks"]) for entry in mixture)

    def each() -> Iterator[tuple[str, str, str]]:
        for model in axes["model"]:
            for recipe in axes["recipe"]:
                for seed in axes.get("seed", ["0"]):
                    yield model, recipe, seed

    for setting in each():
        for inter in axes["inter"]:
            for target in members:
                before = [heads(inters[inter]["mixture"])] if inters[inter]["mixture"] else []
                chain = (*before, *(heads(mixture) for mixture in targets[target]["train"]))
                trainings |= {(setting, chain[: end + 1]) for end in range(len(chain))}
                evaluations.add((setting if chain else setting[0], chain, targets[target]["evaluate"]))
    return len(trainings), len(evaluations)


@pytest.mark.parametrize(("name", "cells", "stages"), [("phang2020", 99, 173), ("scale", 1980, 3891)])
def test_unique_stages(tmp_path: Path, name: str, cells: int, stages: int) -> None:
    made = plan(tmp_path, f"experiment={name}")
    kinds = [stage.kind for stage in made.stages.values()]
    assert (kinds.count("train"), kinds.count("evaluate")) == counted(name)
    assert (len(made.cells), len(made.stages)) == (cells, stages)
    assert made.provisional


@pytest.mark.parametrize("name", ["phang2020", "scale"])
def test_what_is_to_be_fetched_is_named(tmp_path: Path, name: str) -> None:
    made = plan(tmp_path, f"experiment={name}")
    (inputs,) = made.worlds.values()
    lacking = {"anli", "cosmosqa", "csqa", "hellaswag", "mnli", "qqp", "snli", "squad", "squad_v2", "ccg"}
    own = {"phang2020": {"pawsx", "bucc", "udpos_v25"}, "scale": {"lareqa", "mewslix", "xcopa", "squad_retrieval"}}
    assert lacking | own[name] | {"xnli", "panx", "xquad", "mlqa", "tydiqa", "tatoeba"} <= set(inputs.unfilled)
    (reason,) = made.unavailable
    assert reason.startswith("ccg is not on the hub: CCGbank needs a licence")


def test_skipping_leaves_out_the_cells_that_need_what_is_nowhere(tmp_path: Path) -> None:
    made = plan(tmp_path, "experiment=phang2020", "unavailable=skip")
    assert (len(made.cells), made.skipped, len(made.stages)) == (81, 18, 141)
    assert not {"ccg", "multitask"} & {cell.names["inter"] for cell in made.cells}
    (line,) = describe.unavailable(made)
    assert line.endswith("(18 cells left out)")
    assert "ccg" not in next(iter(made.worlds.values())).used


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_plans(tmp_path: Path, name: str) -> None:
    more = ["world.root=nowhere", "unavailable=refuse"] if name == "slices" else []
    made = plan(tmp_path, f"experiment={name}", *more)
    assert made.cells
    assert made.stages


def test_names_of_one_task_in_several_languages_are_said_together() -> None:
    assert describe.listed([]) == "-"
    assert describe.listed(["xnli", "mnli.sw", "mnli", "mnli.de"]) == "mnli in en de sw, xnli"
