"""What `do=plan` says."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from commandline import Planned, chain, done, fill, said

from xstilts.stage import Stage
from xstilts.sweep import sweeps
from xstilts.sweep.asked import Asked, here
from xstilts.sweep.cost import costs
from xstilts.sweep.describe import _flop, describe, size
from xstilts.sweep.plan import Plan


def text(plan: Plan) -> str:
    return said(lambda console: describe(plan, console))


def rows(plan: Plan) -> dict[tuple[str, str], list[str]]:
    """The table's: (kind, model) -> unique, to run, compute, hours, memory."""
    found = [re.split(r"\s{2,}", line.strip()) for line in text(plan).splitlines()]
    return {(r[0], r[1]): r[2:] for r in found if len(r) == 7 and r[0] in ("train", "evaluate")}


def test_cells_stages_and_what_is_left(planned: Planned) -> None:
    plan = planned("model=base,large", "inter=mnli", "target=xnli,tatoeba", "seed=0,1")
    assert "16 cells (8 added as the inter=none baseline; baseline=false leaves them out)" in text(plan)
    # a model: MNLI twice over, and XNLI and Tatoeba after it; Tatoeba without training has no seed
    assert "22 unique stages for 32 uses; 22 to run" in text(plan)
    assert {key: row[:2] for key, row in rows(plan).items()} == {
        ("train", "base"): ["4", "4"],
        ("train", "large"): ["4", "4"],
        ("evaluate", "base"): ["7", "7"],
        ("evaluate", "large"): ["7", "7"],
    }
    assert "longest path: large > mnli > mnli : xnli (3 stages, " in text(plan)
    assert "same-task pairs (the target trains on the intermediate data again): mnli before xnli" in text(plan)


def test_no_baseline_is_mentioned_where_none_was_added(planned: Planned) -> None:
    assert text(planned("inter=none", "target=tatoeba")).splitlines()[0].strip() == "1 cell"
    assert "same-task" not in text(planned("inter=none", "target=tatoeba"))


def test_what_is_reused_and_by_whom(planned: Planned) -> None:
    first = planned("inter=mnli", "target=xnli", "baseline=false")
    sweeps.record(first, [], "first").save(first.store)
    for stage in first.stages:
        done(first, stage, seconds=60.0)
    plan = planned("inter=mnli", "target=xnli,tatoeba", "baseline=false")
    assert "4 unique stages for 5 uses; 1 to run" in text(plan)
    assert re.search(r"3 stages are done and reused: 3 of sweep first \(.+\)", text(plan))
    assert rows(plan)["train", "base"][:4] == ["2", "0", "0.0 FLOP", "-"]
    assert rows(plan)["evaluate", "base"][:2] == ["2", "1"]
    assert f"hours as measured in this store, on {here(plan.stages[stage]).device}" in text(plan)


def test_hours_of_gpus_and_memory_by_partition(planned: Planned) -> None:
    plan = planned("inter=none", "target=xnli,tatoeba", "model=base")
    _, evaluate = chain(plan, target="xnli")
    memory = {"peak_memory": 7 * 10**9, "machine": {"device": "some GPU"}}
    done(plan, evaluate, model="base", seconds=1800.0, notes={**memory, "tokens": 100})
    (tatoeba,) = chain(plan, target="tatoeba")

    def ask(stage: Stage) -> Asked:
        return Asked("big", 4, 64e9) if stage.kind == "train" else Asked("small", 1, 16e9)

    shown = said(lambda console: describe(plan, console, ask=ask))
    foreseen = size(costs(plan, ask)[chain(plan, target="xnli")[0]].memory)
    found = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()]
    hours = (costs(plan, ask)[tatoeba].seconds or 0.0) / 3600
    assert ["big", "1", "-", "1", f"up to {foreseen} predicted", "64.0 GB"] in found
    assert ["small", "1", f"{hours:.2f}", "0", "7.0 GB measured", "16.0 GB"] in found
    assert 0 < hours < 0.5  # XNLI is larger, in fifteen languages
    assert "on some GPU" in shown


def test_labels_are_shown_whole_brackets_and_all(planned: Planned) -> None:
    plan = planned("inter=none", "target=xnli", "recipe.target.lr=1e-5,2e-5", "model.config.hidden_dropout_prob=0.3")
    assert "base[config.hidden_dropout_prob=0.3] > mnli : xnli" in text(plan)
    named = planned("target=xnli", "inter=mnli", "inter.about='[/x]'")
    assert "mnli[about='[/x]'] before xnli" in text(named)


def test_what_the_library_lacks(planned: Planned, tmp_path: Path) -> None:
    assert "provisional ids: the library" in text(planned("target=xnli"))
    assert "data mnli, xnli; models base. do=fetch fills it." in text(planned("target=xnli"))
    library = tmp_path / "lib"
    fill(library, "hub", "mnli", "xnli", models=("base",))
    plan = planned("target=xnli", f"library={library}")
    for absent in ("provisional", "missing", "partial"):
        assert absent not in text(plan)
    manifest = library / "data" / "xnli" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"sw/test"', '"zz/test"').replace("true", "false"))
    plan = planned("target=xnli", f"library={library}")
    assert "missing in the library, NaN in the table: xnli sw/test" in text(plan)
    assert "partial: the library holds a slice of xnli" in text(plan)


def test_unknown_sizes_are_counted_not_taken_for_zero(planned: Planned) -> None:
    plan = planned("inter=none", "target=xnli,xquad")
    plan.stages[chain(plan, target="xnli")[0]].spec["mixture"][0]["train"][0]["rows"] = None
    assert rows(plan)["train", "base"][2].endswith("+ 1 of unknown size")
    done(plan, chain(plan, target="xquad")[0], seconds=60.0)
    assert rows(plan)["train", "base"][3] == "-", "of the one that is left nobody knows"
    assert _flop([math.nan, math.nan]) == "2 of unknown size"
    assert _flop([]) == "0.0 FLOP"
    assert _flop([1500.0, 500.0]) == "2.0 kFLOP"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4.43e9, "4.4 GB"), (2.5e18, "2500.0 PB")]
)
def test_bytes_for_people(count: float, expected: str) -> None:
    assert size(count) == expected
