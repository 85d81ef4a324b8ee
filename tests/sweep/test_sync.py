"""Between two stores without a common file system: what is done travels, whole, once, over nothing of the other's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Planned, chain, done

from xstilts import files, owner
from xstilts.errors import UserError
from xstilts.store import Store, begin
from xstilts.sweep import sweeps, sync
from xstilts.sweep.plan import Plan

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture(params=["folder", "host"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Another store: a folder, or one behind rsync's own protocol, with a shell that stays on this machine."""
    place = tmp_path / "far" / "store"
    place.parent.mkdir()
    if request.param == "folder":
        return str(place)
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\nshift\nexec "$@"\n')  # the host's name, and then what runs there
    shell.chmod(0o755)
    monkeypatch.setenv("RSYNC_RSH", str(shell))
    return f"far:{place}"


@pytest.fixture
def plan(planned: Planned) -> Plan:
    """MNLI, then XNLI, and their evaluation: all done, with what only their own store needs."""
    made = planned("inter=mnli", "target=xnli", "baseline=false")
    sweeps.record(made, [], "one").save(made.store)
    for stage in made.stages:
        attempt = done(made, stage, seconds=1.0)
        (attempt / "resume").mkdir()
        (attempt / "resume/state").write_bytes(b"s")
    return made


def there(plan: Plan, remote: str) -> Plan:
    """The same plan over the other store."""
    return replace(plan, store=Store(Path(remote.split(":")[-1])))


def listed(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_what_is_done_is_done_there_too(plan: Plan, remote: str) -> None:
    said = sync.transfer(str(plan.store.root), remote, weights=False)
    assert said[0].startswith("3 stages")
    far = there(plan, remote)
    assert far.needed() == {}
    assert sweeps.names(far.store) == ["one"]
    train, _, evaluate = chain(plan)
    assert far.store.folder(train).evicted
    assert far.store.folder(evaluate).record() == plan.store.folder(evaluate).record()
    assert not [name for name in listed(far.store.root) if "resume" in name or "checkpoint" in name]
    again = sync.transfer(str(plan.store.root), remote, weights=False)
    assert again == [again[0], "3 were there already"]
    assert again[0].startswith("0 stages")


def test_weights_if_wanted(plan: Plan, remote: str) -> None:
    sync.transfer(str(plan.store.root), remote, weights=True)
    train, *_ = chain(plan)
    assert not there(plan, remote).store.folder(train).evicted


def test_pull_is_push_from_there(plan: Plan, remote: str, tmp_path: Path) -> None:
    sync.transfer(str(plan.store.root), remote, weights=True)
    mine = replace(plan, store=Store(tmp_path / "mine"))
    sync.transfer(remote, str(mine.store.root), weights=True)
    assert mine.needed() == {}
    assert listed(mine.store.root) == listed(there(plan, remote).store.root)


def test_what_the_other_has_is_its_own(plan: Plan, remote: str) -> None:
    """Done there: kept as it is. Begun there: its attempts have numbers, with which ours would be mixed."""
    train, begun, _ = chain(plan)
    far = there(plan, remote)
    attempt = done(far, train, seconds=2.0)
    claim = far.store.claim(plan.stages[begun], owner.process(), owner.alive)
    assert claim is not None
    unfinished = begin(far.store.folder(begun))
    said = sync.transfer(str(plan.store.root), remote, weights=True)
    assert said[0].startswith("1 stage ")
    assert said[1:] == ["1 were there already", f"left 1 that {remote} has begun itself: {begun}"]
    assert files.read_json(attempt / "record.json")["seconds"] == 2.0
    assert list(unfinished.iterdir()) == []
    assert not far.store.done(begun)


def test_a_transfer_that_broke_off_leaves_nothing_that_looks_done(
    plan: Plan, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sync._rsync

    def breaks(source: str, target: str, names: list[str], *more: object) -> None:
        if any(name.endswith("done.json") for name in names):
            raise UserError("the line is dead")
        sent(source, target, names, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(sync, "_rsync", breaks)
    with pytest.raises(UserError):
        sync.transfer(str(plan.store.root), remote, weights=False)
    assert there(plan, remote).done() == set()
    monkeypatch.setattr(sync, "_rsync", sent)
    sync.transfer(str(plan.store.root), remote, weights=False)
    assert there(plan, remote).done() == set(plan.stages)


def test_who_does_not_answer_is_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSYNC_RSH", "false")
    with pytest.raises(UserError, match="not reached"):
        sync.transfer(str(plan.store.root), "nowhere:store", weights=False)


@pytest.mark.parametrize(("remote", "said"), [(None, "need remote="), ("/no/such/place", "is no folder here")])
def test_a_place_that_is_none(remote: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        sync.place(remote)
