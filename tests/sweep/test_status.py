"""`do=status`: from the store alone, stage by stage and cell by cell."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from commandline import Planned, chain, done, said

from xstilts import files, owner
from xstilts.store import Store, begin
from xstilts.sweep import sweeps
from xstilts.sweep.plan import Plan
from xstilts.sweep.status import overview, show, states
from xstilts.sweep.sweeps import Sweep

DEAD = {**owner.process(), "started": 1.0}


@pytest.fixture
def plan(planned: Planned) -> Plan:
    """Six stages: MNLI, MNLI again, and each encoder evaluated."""
    return planned("inter=none,mnli", "target=xnli,tatoeba")


@pytest.fixture
def sweep(plan: Plan) -> Sweep:
    made = sweeps.record(plan, ["inter=none,mnli"], "mine")
    made.save(plan.store)
    return made


def claimed(plan: Plan, stage: str, who: dict[str, object], **record: object) -> Path:
    """As a worker leaves it before the end, or when it dies."""
    claim = plan.store.claim(plan.stages[stage], who, owner.alive)
    assert claim is not None
    attempt = begin(plan.store.folder(stage))
    if record:
        files.write_json(attempt / "record.json", record)
    return attempt


def test_before_anything_everything_waits(plan: Plan, sweep: Sweep) -> None:
    assert {s.name for s in states(plan.store, sweep).values()} == {"waiting"}
    assert list(states(plan.store, sweep)) == list(plan.stages)


def test_every_state_of_a_stage(plan: Plan, sweep: Sweep) -> None:
    mnli, again, xnli = chain(plan, inter="mnli", target="xnli")
    tatoeba = chain(plan, inter="none", target="tatoeba")[0]
    after = chain(plan, inter="mnli", target="tatoeba")[1]
    assert chain(plan, inter="none", target="xnli")[0] == mnli

    attempt = claimed(plan, tatoeba, owner.process(), status="running", started=time.time() - 30)
    files.write_json(attempt / "progress.json", {"done": 25, "total": 100})
    claimed(plan, mnli, DEAD, status="running", started=time.time())
    found = states(plan.store, sweep)
    assert found[tatoeba].name == "running"
    assert re.fullmatch(r"25%, about (8\d|9\d|10\d) s left", found[tatoeba].text)
    assert found[tatoeba].log == str(attempt / "log.txt")
    assert found[mnli].name == "interrupted"
    assert {found[s].name for s in (again, xnli, after)} == {"waiting"}

    failed = claimed(plan, mnli, DEAD, status="failed", error="DataError: no such label")
    found = states(plan.store, sweep)
    assert (found[mnli].name, found[mnli].text) == ("failed", "DataError: no such label")
    assert found[mnli].log == str(failed / "log.txt")
    assert {s: (found[s].name, found[s].text) for s in (again, xnli, after)} == dict.fromkeys(
        (again, xnli, after), ("blocked", "base > mnli")
    )

    for stage in plan.stages:
        done(plan, stage)
    assert {s.name for s in states(plan.store, sweep).values()} == {"done"}


def test_a_failure_that_is_being_tried_again_is_running(plan: Plan, sweep: Sweep) -> None:
    mnli = chain(plan, inter="mnli", target="xnli")[0]
    claimed(plan, mnli, DEAD, status="failed", error="out of memory")
    claimed(plan, mnli, owner.process(), status="running", started=time.time())
    found = states(plan.store, sweep)
    assert found[mnli].name == "running"
    assert "blocked" not in {s.name for s in found.values()}


def test_a_silent_owner_of_another_host_is_no_owner(plan: Plan, sweep: Sweep) -> None:
    stage = chain(plan, inter="none", target="tatoeba")[0]
    elsewhere = {**owner.process(), "host": "elsewhere"}
    attempt = claimed(plan, stage, elsewhere, status="running", started=time.time())
    assert states(plan.store, sweep)[stage].name == "running"
    old = time.time() - 2 * owner.SILENCE
    for path in (attempt / "record.json", *plan.store.folder(stage).claims()):
        os.utime(path, (old, old))
    assert states(plan.store, sweep)[stage].name == "interrupted"


def test_what_another_store_has_is_done(planned: Planned, tmp_path: Path) -> None:
    line = ("inter=none", "target=xnli")
    theirs = planned(*line, f"store.path={tmp_path / 'theirs'}")
    for stage in theirs.stages:
        done(theirs, stage)
    mine = planned(*line, f"store.path={tmp_path / 'mine'}", f"store.read=[{tmp_path / 'theirs'}]")
    assert {s.name for s in states(mine.store, sweeps.record(mine, [], "x")).values()} == {"done"}


def test_the_grid_and_the_failures(plan: Plan, sweep: Sweep) -> None:
    mnli, again, _ = chain(plan, inter="mnli", target="xnli")
    none = chain(plan, inter="none", target="xnli")
    done(plan, mnli)
    done(plan, none[1])
    claimed(plan, again, DEAD, status="failed", error="expected [1, 2], got [/INST] and [bold]")
    text = said(lambda console: show(plan.store, sweep, console))
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    assert ["base", "none", "done", "waiting"] in rows
    assert ["base", "mnli", "failed", "waiting"] in rows
    assert "expected [1, 2], got [/INST] and [bold]" in text
    assert str(plan.store.folder(again).attempts()[-1] / "log.txt") in text.replace("\n", "")
    assert "2 done, 1 failed, 1 blocked, 2 waiting of 6 stages" in text


def test_seeds_and_recipes_share_a_place_in_the_grid(planned: Planned) -> None:
    plan = planned("inter=none", "target=xnli", "seed=0,1,2", "recipe.target.lr=1e-5,2e-5")
    made = sweeps.record(plan, [], "seeds")
    for stage in chain(plan, seed=1, recipe="phang2020[target.lr=1e-05]"):
        done(plan, stage)
    text = said(lambda console: show(plan.store, made, console))
    assert "1/6 waiting" in text
    for stage in plan.stages:
        if not plan.store.done(stage):
            done(plan, stage)
    assert re.search(r"base +none +done", said(lambda console: show(plan.store, made, console)))


def test_labels_keep_their_brackets(planned: Planned) -> None:
    plan = planned("inter=none", "target=xnli", "target.about=x", "model.config.hidden_dropout_prob=0.2")
    text = said(lambda console: show(plan.store, sweeps.record(plan, [], "x"), console))
    assert "base[config.hidden_dropout_prob=0.2]" in text
    assert "xnli[about=x]" in text


def test_all_sweeps_a_line_each(plan: Plan, sweep: Sweep, tmp_path: Path) -> None:
    assert "has no sweep yet" in said(lambda console: overview(Store(tmp_path / "empty"), console))
    done(plan, next(iter(plan.stages)))
    text = said(lambda console: overview(plan.store, console))
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["mine"])
    assert row[1:3] == [owner.user(), sweep.created]
    assert row[3:5] == ["4", "1"]
    assert row[-1] == "5"
    assert "do=status sweep=NAME" in text
