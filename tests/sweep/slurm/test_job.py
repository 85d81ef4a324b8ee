"""Inside a job: saved and queued again, or not."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from xstilts.sweep.slurm import job, queue


@pytest.fixture(autouse=True)
def element(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SLURM_JOB_ID", "20")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    before = {number: signal.getsignal(number) for number in job.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def asked(monkeypatch: pytest.MonkeyPatch, state: str) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []

    def call(*command: str) -> str:
        calls.append(command)
        return state if command[0] == "squeue" else ""

    monkeypatch.setattr(queue, "call", call)
    return calls


def test_the_right_element_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = asked(monkeypatch, "RUNNING\n")
    with pytest.raises(SystemExit) as left:
        job.hand_over(1)
    assert left.value.code == 0
    assert calls[-1] == ("scontrol", "requeue", "17_3")


def test_a_cancelled_job_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = asked(monkeypatch, "COMPLETING\n")
    assert job.hand_over(1) is False
    assert [c[0] for c in calls] == ["squeue"]


def test_nor_one_that_was_back_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = asked(monkeypatch, "RUNNING\n")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert job.hand_over(2) is True
    assert [c[0] for c in calls] == ["squeue"]


@pytest.mark.parametrize("number", job.SIGNALS)
def test_a_signal_means_stop(number: signal.Signals) -> None:
    stop = job.listen()
    assert not stop.is_set()
    os.kill(os.getpid(), number)
    assert stop.is_set()
