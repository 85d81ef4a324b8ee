"""Which weights go, which stay, and what `do=clean` may touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Planned, chain, done

from xstilts import files, owner
from xstilts.store import Folder, Store, begin, publish
from xstilts.sweep import sweeps
from xstilts.sweep.plan import Plan
from xstilts.sweep.retention import clean, evict, evict_recorded, evict_upstream, holding

LINE = ("inter=mnli", "target=xquad,mlqa", "baseline=false")


def finished(plan: Plan, name: str, *without: str) -> Plan:
    sweeps.record(plan, [], name).save(plan.store)
    for stage in plan.stages:
        if stage not in without and not plan.store.done(stage):
            done(plan, stage)
    return plan


def weights(plan: Plan) -> set[str]:
    return {s for s, stage in plan.stages.items() if stage.kind == "train" and not plan.store.folder(s).evicted}


@pytest.mark.parametrize(("keep", "kept"), [("all", 2), ("inter", 1), ("scores", 0)])
def test_keep_says_which_weights_stay(planned: Planned, keep: str, kept: int) -> None:
    plan = finished(planned(*LINE, f"keep={keep}"), "one")
    assert evict(plan) == 1000 * (2 - kept)
    assert weights(plan) == set(chain(plan, target="xquad")[:kept])
    assert plan.done() == set(plan.stages)  # the marker and the rest stay
    assert plan.needed() == {}
    assert evict(plan) == 0


def test_weights_wait_for_everything_that_starts_from_them(planned: Planned) -> None:
    plan = planned(*LINE, "keep=scores")
    squad, mlqa = chain(plan, target="mlqa")[1:]
    finished(plan, "one", mlqa)
    assert evict(plan) == 1000  # MNLI's: SQuAD's training is done
    assert weights(plan) == {squad}
    done(plan, mlqa)
    assert evict(plan) == 1000
    assert weights(plan) == set()


def test_another_sweeps_needs_count(planned: Planned) -> None:
    mine = finished(planned("inter=mnli", "target=xquad", "baseline=false", "keep=scores"), "mine")
    other = planned("inter=mnli", "target=mlqa", "baseline=false")
    sweeps.record(other, [], "other").save(other.store)
    assert evict(mine) == 1000  # MNLI's; SQuAD's is what MLQA waits for
    assert weights(mine) == {chain(mine)[1]}
    third = planned("inter=mnli", "target=tydiqa", "baseline=false", "keep=inter")
    sweeps.record(third, [], "third").save(third.store)
    done(other, chain(other)[2])
    mine.keep = "inter"
    assert evict(mine) == 1000  # SQuAD's: no training starts from it in any sweep


def test_weights_of_other_stores_stay(planned: Planned, tmp_path: Path) -> None:
    theirs = finished(planned(*LINE, f"store.path={tmp_path / 'theirs'}"), "theirs")
    mine = planned(*LINE, f"store.path={tmp_path / 'mine'}", f"store.read=[{theirs.store.root}]", "keep=scores")
    sweeps.record(mine, [], "mine").save(mine.store)
    assert evict(mine) == 0
    assert len(weights(theirs)) == 2


def test_one_stage_after_the_other_comes_to_the_same(planned: Planned) -> None:
    """On a cluster nobody has the plan at hand when a stage ends."""
    plan = planned(*LINE)
    inter, squad, xquad = chain(plan, target="xquad")
    mlqa = chain(plan, target="mlqa")[2]
    finished(plan, "one", mlqa)
    home = plan.store.folder
    assert evict_upstream(plan.store, home(xquad), "inter") == 0
    done(plan, mlqa)
    assert evict_upstream(plan.store, home(mlqa), "inter") == 1000
    assert evict_upstream(plan.store, home(squad), "inter") == 0
    assert weights(plan) == {inter}
    assert evict_upstream(plan.store, home(squad), "scores") == 1000


def test_cleaning_applies_keep_to_every_recorded_sweep(planned: Planned) -> None:
    plan = finished(planned(*LINE), "one")
    assert evict_recorded(plan.store, "all") == 0
    assert evict_recorded(plan.store, "inter") == 1000
    assert evict_recorded(plan.store, "scores") == 1000
    assert weights(plan) == set()


def test_what_a_sweep_keeps_outlasts_the_commands_after_it(planned: Planned) -> None:
    mine = finished(planned(*LINE, "keep=all"), "mine")
    other = finished(planned("inter=mnli,squad", "target=xquad,mlqa", "baseline=false", "keep=scores"), "other")
    assert evict(mine) == 0
    evict(other)
    home = mine.store.folder
    assert evict_upstream(mine.store, home(chain(mine, target="xquad")[2]), "scores") == 0
    assert evict_recorded(mine.store, "scores") == 0
    assert weights(mine) == set(chain(mine, target="xquad")[:2])
    assert weights(other) == weights(mine) & set(other.stages), "what nobody asked to keep goes"
    assert holding(mine.store) == ["mine"]
    sweeps.record(planned(*LINE, "keep=inter"), [], "mine").save(mine.store)
    assert evict_recorded(mine.store, "scores") == 2000, "its own command lets them go"
    assert holding(mine.store) == []


# clean ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(planned: Planned) -> tuple[Store, Folder]:
    plan = planned("inter=none", "target=xnli")
    return plan.store, plan.store.enter(next(iter(plan.stages.values())))


def attempt(folder: Folder, *names: str) -> Path:
    made = begin(folder)
    for name in names:
        (made / name).mkdir()
        (made / name / "x").write_bytes(b"12345")
    return made


def left(folder: Folder) -> set[str]:
    return {str(p.relative_to(folder.root)) for p in folder.root.rglob("*") if p.is_file()}


def test_abandoned_attempts_go_once_the_stage_is_done(place: tuple[Store, Folder]) -> None:
    store, folder = place
    for _ in range(2):
        attempt(folder, "checkpoint")
    rerun = attempt(folder, "predictions")
    (rerun / "scores.parquet").write_bytes(b"")
    good = attempt(folder, "checkpoint")
    publish(folder, good)
    freed, removed = clean(store)
    assert freed == 10
    assert [Path(p).name for p in removed] == ["2", "1"]
    assert left(folder) == {
        "stage.yaml",
        "done.json",
        "attempts/3/predictions/x",
        "attempts/3/scores.parquet",
        "attempts/4/checkpoint/x",
    }
    assert clean(store) == (0, [])


def test_the_newest_resume_state_of_an_unfinished_stage_stays(place: tuple[Store, Folder]) -> None:
    store, folder = place
    attempt(folder, "resume")
    attempt(folder, "resume")
    attempt(folder)
    freed, _ = clean(store)
    assert freed == 5
    assert left(folder) == {"stage.yaml", "attempts/2/resume/x"}


def test_what_kills_left_behind_goes(place: tuple[Store, Folder]) -> None:
    store, folder = place
    made = attempt(folder, "resume", ".checkpoint.0123abcd.tmp", ".checkpoint.0123abcd.gone", ".resume.old")
    (made / ".record.json.0123abcd.tmp").write_bytes(b"1")
    freed, _ = clean(store)
    assert freed == 16
    assert left(folder) == {"stage.yaml", "attempts/1/resume/x"}


def test_a_state_caught_between_two_renames_stays(place: tuple[Store, Folder]) -> None:
    store, folder = place
    made = attempt(folder, ".resume.old")
    assert clean(store) == (0, [])
    assert files.recover(made / "resume") == made / ".resume.old"


def test_what_a_living_owner_works_on_is_not_touched(place: tuple[Store, Folder], planned: Planned) -> None:
    store, folder = place
    stage = next(iter(planned("inter=none", "target=xnli").stages.values()))
    claim = store.claim(stage, owner.process(), owner.alive)
    assert claim is not None
    attempt(folder, "resume", ".checkpoint.0123abcd.tmp")
    before = left(folder)
    assert clean(store) == (0, [])
    assert left(folder) == before
    claim.release()
    assert clean(store)[0] == 5
