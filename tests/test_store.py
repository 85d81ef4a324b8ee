"""The store: one claim at a time, one published attempt, never another's store, and damaged files by their names."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from xstilts import files
from xstilts.errors import DataError, UserError
from xstilts.stage import Stage
from xstilts.store import Claim, Fenced, Folder, Owner, Store, begin, held, publish

TRAIN = Stage("train", {"seed": 0}, about={"label": "a training"})
EVALUATE = Stage("evaluate", {"task": "xnli"}, {"checkpoint": TRAIN.id})
SOURCE = str(Path(__file__).resolve().parents[1] / "src")


def owner(name: str) -> Owner:
    return {"launcher": "workstation", "host": "here", "pid": 1, "user": name}


def living(*names: str) -> Callable[[Owner, float], bool]:
    return lambda who, silence: who["user"] in names


def everybody(who: Owner, silence: float) -> bool:
    return True


def nobody(who: Owner, silence: float) -> bool:
    return False


def done(store: Store, stage: Stage, weights: bool = True) -> Path:
    """Publish a stage as a worker does; its attempt folder."""
    folder = store.enter(stage)
    attempt = begin(folder)
    if stage.kind == "train" and weights:
        (attempt / "checkpoint").mkdir()
    publish(folder, attempt)
    return attempt


# claims ---------------------------------------------------------------------------------------------------------------


def test_one_living_owner_holds_a_stage_until_it_lets_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.claim(TRAIN, owner("a"), everybody)
    assert first is not None
    assert store.claim(TRAIN, owner("b"), everybody) is None
    held_by = store.folder(TRAIN.id).owner()
    assert held_by is not None
    assert held_by["user"] == "a"
    first.release()
    assert store.folder(TRAIN.id).owner() is None
    assert store.claim(TRAIN, owner("b"), everybody) is not None


def test_a_dead_owner_is_taken_over_and_its_late_release_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.claim(TRAIN, owner("a"), everybody)
    second = store.claim(TRAIN, owner("b"), living("b"))
    assert first is not None
    assert second is not None
    assert [p.name for p in store.folder(TRAIN.id).claims()] == ["1.json", "2.json"]
    first.release()
    now = store.folder(TRAIN.id).owner()
    assert now is not None
    assert now["user"] == "b"
    assert store.claim(TRAIN, owner("c"), living("b")) is None


def test_a_take_over_in_the_middle_of_a_take_over_wins_alone(tmp_path: Path) -> None:
    """Both see that `a` is dead; `fast` is done before `slow` goes on. Two holders would train the stage twice."""
    store = Store(tmp_path)
    store.claim(TRAIN, owner("a"), everybody)
    taken: list[Claim | None] = []

    def dead(who: Owner, silence: float) -> bool:
        if who["user"] == "a" and not taken:
            taken.append(store.claim(TRAIN, owner("fast"), nobody))
        return False

    assert store.claim(TRAIN, owner("slow"), dead) is None
    assert taken[0] is not None
    now = store.folder(TRAIN.id).owner()
    assert now is not None
    assert now["user"] == "fast"


@pytest.mark.parametrize("before", ["nobody", "dead", "released"])
def test_of_many_threads_one_gets_the_claim(tmp_path: Path, before: str) -> None:
    store = Store(tmp_path)
    for turn in range(6):
        stage = Stage("train", {"turn": turn})
        if before != "nobody":
            first = store.claim(stage, owner("gone"), everybody)
            assert first is not None
            if before == "released":
                first.release()
        barrier = threading.Barrier(8)

        def race(name: str, stage: Stage = stage, barrier: threading.Barrier = barrier) -> Claim | None:
            barrier.wait()
            return store.claim(stage, owner(name), living(*"01234567"))

        with ThreadPoolExecutor(8) as pool:
            winners = [c for c in pool.map(race, "01234567") if c is not None]
        assert len(winners) == 1
        assert winners[0].path == store.folder(stage.id).claims()[-1]


RACE = """
import json, sys, time
from pathlib import Path
from xstilts.stage import Stage
from xstilts.store import Store
root, name, start = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
won = []
for turn in range(25):
    time.sleep(max(0, start + 0.02 * turn - time.time()))
    stage = Stage("train", {"turn": turn})
    claim = Store(root).claim(stage, {"launcher": "x", "name": name}, lambda who, silence: who["name"] != "gone")
    won += [turn] if claim else []
print(json.dumps(won))
"""


def test_of_many_processes_one_gets_each_claim(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for turn in range(0, 25, 2):  # half of the stages belong to somebody who is dead
        assert store.claim(Stage("train", {"turn": turn}), {"launcher": "x", "name": "gone"}, everybody)
    start = str(time.time() + 1.5)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), str(n), start],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        for n in range(4)
    ]
    won = Counter(turn for run in runs for turn in json.loads(run.communicate()[0]))
    assert won == dict.fromkeys(range(25), 1)


def test_an_owner_hears_how_long_it_was_silent(tmp_path: Path) -> None:
    """On another host nothing but silence tells; a claim is a sign of life, before the first attempt has begun."""
    store, heard = Store(tmp_path), []
    store.claim(TRAIN, owner("a"), everybody)

    def alive(who: Owner, silence: float) -> bool:
        heard.append(silence)
        return True

    assert store.claim(TRAIN, owner("b"), alive) is None
    folder = store.folder(TRAIN.id)
    old = time.time() - 5000
    os.utime(folder.claims()[-1], (old, old))
    store.claim(TRAIN, owner("b"), alive)
    attempt = begin(folder)
    files.write_json(attempt / "record.json", {"status": "running"})
    store.claim(TRAIN, owner("b"), alive)
    assert heard == [pytest.approx(0, abs=60), pytest.approx(5000, abs=60), pytest.approx(0, abs=60)]


def test_without_any_sign_of_life_the_silence_is_endless(tmp_path: Path) -> None:
    assert Store(tmp_path).enter(TRAIN).beat() == float("inf")


def test_a_claim_taken_in_advance_is_held_until_somebody_takes_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    claim = store.claim(TRAIN, owner("queued"), everybody)
    folder = store.folder(TRAIN.id)
    assert claim is not None
    assert held(folder, 1) == Claim(claim.path, folder.owner() or {})
    assert held(folder, 2) is None
    store.claim(TRAIN, owner("b"), nobody)
    assert held(folder, 1) is None


def test_who_claims_freezes_its_own_numerics(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.enter(TRAIN)
    mine = Stage("train", {"seed": 0}, numerics={"device": "cuda"})
    store.claim(mine, owner("a"), everybody)
    assert Stage.load(store.folder(TRAIN.id).spec).numerics == {"device": "cuda"}


# attempts and the marker ----------------------------------------------------------------------------------------------


def test_attempts_grow_and_never_share_a_folder(tmp_path: Path) -> None:
    folder = Store(tmp_path).enter(TRAIN)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: begin(folder), range(40)))
    assert sorted(int(p.name) for p in made) == list(range(1, 41))
    assert folder.attempts() == sorted(made, key=lambda p: int(p.name))  # 10 after 9


def test_exactly_one_attempt_is_published(tmp_path: Path) -> None:
    folder = Store(tmp_path).enter(TRAIN)
    attempts = [begin(folder) for _ in range(8)]
    barrier = threading.Barrier(8)

    def race(attempt: Path) -> bool:
        barrier.wait()
        try:
            publish(folder, attempt)
        except Fenced:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, attempts))
    assert sum(won) == 1
    assert folder.published == attempts[won.index(True)]


def test_weights_that_were_evicted_come_back_with_their_new_attempt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = done(store, TRAIN)
    folder = store.folder(TRAIN.id)
    assert not folder.evicted
    (first / "checkpoint").rmdir()
    assert folder.evicted
    second = begin(folder)
    (second / "checkpoint").mkdir()
    publish(folder, second, replace=True)
    assert folder.published == second
    assert not folder.evicted


def test_an_evaluation_has_no_weights_to_lose(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done(store, EVALUATE)
    assert not store.folder(EVALUATE.id).evicted


def test_resume_states_go_when_the_stage_is_published(tmp_path: Path) -> None:
    folder = Store(tmp_path).enter(TRAIN)
    stale, attempt = begin(folder), begin(folder)
    for name in (stale / "resume", attempt / "resume", attempt / ".resume.old", attempt / "checkpoint"):
        name.mkdir()
        (name / "state").write_text("x")
    publish(folder, attempt)
    assert sorted(p.name for p in attempt.iterdir()) == ["checkpoint"]
    assert list(stale.iterdir()) == []


def test_the_record_is_that_of_the_attempt_that_counts(tmp_path: Path) -> None:
    folder = Store(tmp_path).enter(TRAIN)
    assert folder.record() is None
    first, second = begin(folder), begin(folder)
    assert folder.record() is None
    for attempt in (first, second):
        files.write_json(attempt / "record.json", {"status": attempt.name})
    assert folder.record() == {"status": "2"}
    publish(folder, first)
    assert folder.record() == {"status": "1"}


# the same id ----------------------------------------------------------------------------------------------------------


def test_another_specification_under_the_same_id_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.enter(TRAIN)
    other = Stage("train", {"seed": 1})
    monkeypatch.setattr(Stage, "id", TRAIN.id)
    with pytest.raises(DataError, match=r"stage\.yaml: holds another specification"):
        store.enter(other)


def test_an_edited_stage_is_not_entered_or_claimed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    spec = store.enter(TRAIN).spec
    spec.write_text(spec.read_text().replace("seed: 0", "seed: 7"))
    for use in (lambda: store.enter(TRAIN), lambda: store.claim(TRAIN, owner("a"), everybody)):
        with pytest.raises(DataError, match=r"stage\.yaml: was edited"):
            use()


# stores of others -----------------------------------------------------------------------------------------------------


def listing(root: Path) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in root.rglob("*")}


def test_what_others_have_done_is_found_and_never_written(tmp_path: Path) -> None:
    theirs, mine = Store(tmp_path / "theirs"), Store(tmp_path / "mine", [tmp_path / "theirs"])
    attempt = done(theirs, TRAIN)
    before = listing(theirs.root)
    assert mine.done(TRAIN.id)
    assert mine.folder(TRAIN.id).published == attempt
    assert mine.enter(EVALUATE).root.is_relative_to(mine.root)
    assert mine.claim(TRAIN, owner("a"), everybody)
    assert mine.enter(TRAIN).root.is_relative_to(mine.root)
    assert list(mine.stages()) == [Folder(mine.root / "stages" / s.id) for s in (EVALUATE, TRAIN)]
    assert listing(theirs.root) == before


def test_what_others_are_only_doing_does_not_count(tmp_path: Path) -> None:
    theirs, mine = Store(tmp_path / "theirs"), Store(tmp_path / "mine", [tmp_path / "theirs"])
    begin(theirs.enter(TRAIN))
    assert not mine.done(TRAIN.id)
    assert mine.folder(TRAIN.id).root.is_relative_to(mine.root)


@pytest.mark.parametrize("mine_has", ["weights", "no weights", "nothing"])
@pytest.mark.parametrize("they_have", ["weights", "no weights", "nothing"])
def test_weights_are_preferred_wherever_they_are(tmp_path: Path, mine_has: str, they_have: str) -> None:
    mine, theirs = Store(tmp_path / "mine", [tmp_path / "theirs"]), Store(tmp_path / "theirs")
    for store, has in ((mine, mine_has), (theirs, they_have)):
        if has != "nothing":
            done(store, TRAIN, weights=has == "weights")
    found = mine.folder(TRAIN.id)
    best = next((has for has in ("weights", "no weights") if has in (mine_has, they_have)), "nothing")
    assert mine.done(TRAIN.id) == (best != "nothing")
    assert found.evicted == (best == "no weights")
    assert found.root.is_relative_to(mine.root if mine_has == best else theirs.root)


# what is broken -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "{", '{"attempt"', "[]", "{}", "\x00\x00", "3"])
def test_damaged_files_are_named(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    store.claim(TRAIN, owner("a"), everybody)
    folder = store.folder(TRAIN.id)
    attempt = begin(folder)
    looks: dict[str, Callable[[], Any]] = {
        "claims/1.json": folder.owner,
        f"attempts/{attempt.name}/record.json": folder.record,
        f"attempts/{attempt.name}/progress.json": folder.progress,
        "done.json": lambda: folder.published,
    }
    for name, look in looks.items():
        (folder.root / name).write_text(content)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            look()
        (folder.root / name).unlink()


@pytest.mark.parametrize(
    ("number", "way"), [(errno.ENOSPC, "do=clean"), (errno.EROFS, "read-only"), (errno.EACCES, "belongs to")]
)
def test_a_store_that_cannot_be_written_says_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, way: str
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files, "write_bytes", refuse)
    with pytest.raises(UserError, match=way) as caught:
        Store(tmp_path / "store").check_writable()
    assert "store=PATH" in str(caught.value)


def test_a_store_where_a_file_lies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path / "store").check_writable()


def test_looking_for_room_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.check_writable()
    assert sorted(p.name for p in store.root.rglob("*")) == ["stages", "sweeps"]


def test_what_is_published_stays_published_when_an_old_state_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of another user's attempt."""

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    folder = Folder(tmp_path / "stage")
    (folder.root / "attempts").mkdir(parents=True)
    attempt = begin(folder)
    monkeypatch.setattr(files, "remove", refused)
    publish(folder, attempt)
    assert folder.published == attempt
