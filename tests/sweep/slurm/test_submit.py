"""A plan becomes jobs: each stage once, whatever dies on the way."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest
from house import House, killed, stage, tree

from xstilts import files, owner
from xstilts.errors import UserError
from xstilts.store import Store
from xstilts.sweep.slurm import array, cancel, journal, queue, submit


def test_every_stage_is_queued_once_after_what_it_starts_from(house: House) -> None:
    stages = tree(3)
    found = house.submit(stages)
    assert set(found.jobs) == set(stages)
    house.check(stages)
    assert len({n.split("_")[0] for n in found.jobs.values()}) == 3  # an array a layer


def test_the_same_command_again_submits_nothing(house: House) -> None:
    stages = tree(2)
    first = house.submit(stages).jobs
    again = house.submit(stages)
    assert again.jobs == {}
    assert again.theirs == first
    house.check(stages)


def test_what_another_sweep_has_queued_is_depended_on(house: House) -> None:
    stages = tree(1)
    trainings = {n: s for n, s in stages.items() if s.kind == "train"}
    theirs = house.submit(trainings, "one").jobs
    found = house.submit(stages, "two")
    assert found.theirs == theirs
    assert set(found.jobs) == set(stages) - set(trainings)
    house.check(stages)


def test_what_is_done_is_not_depended_on(house: House) -> None:
    stages = tree(1)
    house.submit(stages)
    root, *_ = stages
    house.finish(stages, root)
    house.slurm.end("FAILED", *house.slurm.live())
    assert root not in house.submit(stages).jobs
    house.check(stages)


def test_a_dead_job_s_stage_is_submitted_anew(house: House) -> None:
    stages = tree(1)
    house.submit(stages)
    house.slurm.end("NODE_FAIL", *house.slurm.live())
    assert set(house.submit(stages).jobs) == set(stages)
    house.check(stages)


def test_a_stage_that_a_process_does_is_left_to_it(house: House) -> None:
    stages = tree(1)
    root, middle, *_ = stages
    claim = house.store.claim(stages[middle], owner.process(), owner.alive)
    found = house.submit(stages)
    assert set(found.jobs) == {root}
    assert middle in found.left
    assert claim is not None
    claim.release()
    assert set(house.submit(stages).jobs) == set(stages) - {root}
    house.check(stages)


def test_arrays_stay_below_the_limit(house: House) -> None:
    state = house.slurm.load()
    state["config"]["MaxArraySize"] = 10
    house.slurm.save(state)
    stages = tree(12)
    house.submit(stages)
    house.check(stages)


@pytest.mark.parametrize("limit", [2, 5, 20])
@pytest.mark.parametrize("how", ["cluster", "key"])
def test_waves(house: House, monkeypatch: pytest.MonkeyPatch, limit: int, how: str) -> None:
    """With room for few jobs, the job of the next wave is among them, and everything is done in the end, once."""
    stages = tree(4)
    keys = {"max_jobs": limit} if how == "key" else {}
    house.slurm.limit(limit if how == "cluster" else None)
    monkeypatch.setattr(sys, "argv", ["launch.py", "x=1"])
    seen: set[str] = set()
    for _ in itertools.count():
        found = house.submit(stages, **keys)
        assert not seen & set(found.jobs)
        seen |= set(found.jobs)
        assert len(house.slurm.live()) <= limit
        monkeypatch.setenv(journal.WAVE, journal.every(house.store)[0].name)
        if found.next is None:
            break
        # What could start does; then the job of the next wave runs, and is over once it has submitted.
        ready = [j["stage"] for j in house.slurm.live().values() if j["stage"]]
        house.finish(stages, *[s for s in stages if s in ready])
        house.slurm.end("COMPLETED", found.next)
    assert seen == set(stages)


def test_a_wave_leaves_what_an_earlier_one_could_not_finish(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = tree(4)
    house.slurm.limit(4)
    first = house.submit(stages)
    assert len(first.jobs) == 3
    house.slurm.end("FAILED", *house.slurm.live())
    monkeypatch.setenv(journal.WAVE, journal.every(house.store)[0].name)
    second = house.submit(stages)
    assert not set(first.jobs) & set(second.jobs)
    assert set(second.jobs)


@pytest.mark.parametrize("step", [5, 45, 65, 85, 105, 125])
def test_a_wave_that_died_while_submitting_is_submitted_again(
    house: House, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Its job is requeued and runs the same command; what the dead one had begun was taken back, not tried."""
    stages = tree(4)
    house.slurm.limit(4)
    first = house.submit(stages)
    ready = [job["stage"] for job in house.slurm.live().values() if job["stage"]]
    house.finish(stages, *[s for s in stages if s in ready])
    house.slurm.limit(None)
    monkeypatch.setenv(journal.WAVE, journal.every(house.store)[0].name)
    assert killed(lambda: house.submit(stages), step, every_step)
    house.submit(stages)
    house.slurm.end("COMPLETED", first.next)
    house.check(stages)


def test_no_room_at_all_is_said(house: House) -> None:
    house.slurm.limit(0)
    with pytest.raises(UserError, match="takes no more jobs"):
        house.submit(tree(1))
    house.slurm.limit(None)
    stages = tree(1)
    house.submit(stages)
    house.check(stages)


def test_more_memory_after_too_little(house: House) -> None:
    stages = {s.id: s for s in [stage("train", 0)]}
    for asked in (8, 16, 24, 24):  # twice as much, up to the limit
        house.submit(stages)
        assert [job["asked"]["mem_gb"] for job in house.slurm.live().values()] == [asked]
        house.slurm.end("OUT_OF_MEMORY", *house.slurm.live())


def test_a_refusal_leaves_nothing_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def second_fails(*arguments: Any) -> list[str]:
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("sbatch: error: invalid partition specified: mian")
        return house.slurm.submit(*arguments)

    monkeypatch.setattr(array, "_submit", second_fails)
    stages = tree(1)
    with pytest.raises(UserError, match="invalid partition"):
        house.submit(stages)
    assert not house.slurm.live()
    house.submit(stages)
    house.check(stages)


def test_an_answer_that_is_lost_makes_no_second_job(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def deaf(*arguments: Any) -> list[str]:
        calls.append(house.slurm.submit(*arguments))
        if len(calls) == 1:
            raise RuntimeError("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
        return calls[-1]

    monkeypatch.setattr(array, "_submit", deaf)
    monkeypatch.setattr(queue, "WAITS", (0.0,))
    stages = tree(2)
    house.submit(stages)
    house.check(stages)


def every_step(step: Callable[[], None]) -> None:
    """Count, or die, before and after everything that leaves a trace."""
    for module, name in ((queue, "call"), (array, "_submit"), (files, "write_json"), (files, "create_bytes")):
        setattr(module, name, _around(getattr(module, name), step))
    Store.claim = _around(Store.claim, step)  # type: ignore[method-assign]


def _around(inner: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def outer(*arguments: Any, **named: Any) -> Any:
        step()
        value = inner(*arguments, **named)
        step()
        return value

    return outer


@pytest.mark.slow
def test_a_driver_killed_at_any_step_is_repaired_by_the_same_command(house: House) -> None:
    stages = tree(1, 1)
    empty = house.slurm.load()
    for number in itertools.count(1):
        house.slurm.save(empty)
        house.store = Store(house.store.root.parent / f"store-{number}")
        house.store.check_writable()
        if not killed(lambda: house.submit(stages), number, every_step):
            break
        house.submit(stages)
        house.check(stages)
    assert number > 40


def test_cancel_spares_what_another_sweep_waits_for(house: House) -> None:
    stages = tree(2)
    some = dict(list(stages.items())[:3])
    house.submit(stages, "all")
    house.submit(some, "some")
    told = cancel.cancel(house.store, house.sweep("all", stages))
    assert {job["stage"] for job in house.slurm.live().values()} == set(some)
    assert "left 3" in " ".join(told)
    cancel.cancel(house.store, house.sweep("some", some))
    assert not house.slurm.live()


def test_a_cancelled_sweep_has_no_next_wave(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = tree(3)
    house.slurm.limit(4)
    found = house.submit(stages, "one")
    assert found.next in house.slurm.live()
    cancel.cancel(house.store, house.sweep("one", stages))
    assert not house.slurm.live()
    monkeypatch.setenv(journal.WAVE, journal.every(house.store)[0].name)
    assert house.submit(stages, "one").jobs == {}


def test_layers_do_not_depend_on_the_sweep(house: House) -> None:
    stages = tree(1)
    part = dict(list(stages.items())[1:])
    whole = submit._layers(house.plan(stages))
    assert [whole[s] for s in part] == [submit._layers(house.plan(stages))[s] for s in part]
