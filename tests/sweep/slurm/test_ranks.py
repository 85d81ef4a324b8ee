"""Which task of a job this is."""

from __future__ import annotations

import pytest

from xstilts.model.parallel import Place
from xstilts.sweep.slurm import queue, ranks

SAID = {"SLURM_JOB_ID": "123", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {**SAID, "SLURM_JOB_NODELIST": "node[7-8]"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    monkeypatch.setattr(queue, "call", lambda *command: "node7\nnode8\n" if command[-1] == "node[7-8]" else "")
    return monkeypatch


def test_all_meet_at_the_first_node(task: pytest.MonkeyPatch) -> None:
    found = ranks.place()
    assert found is not None
    assert found == Place(3, 4, 1, "node7", found.port)
    assert 10_000 <= found.port < 30_000


def test_another_start_and_another_job_meet_elsewhere(task: pytest.MonkeyPatch) -> None:
    ports = []
    for job, restarts in (("123", "0"), ("123", "1"), ("124", "0"), ("9999999", "20")):
        task.setenv("SLURM_JOB_ID", job)
        task.setenv("SLURM_RESTART_COUNT", restarts)
        ports.append((ranks.place() or Place(0, 1, 0, "", 0)).port)
    assert len(set(ports)) == 4
    assert all(10_000 <= port < 30_000 for port in ports)


def test_a_task_alone_meets_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ({"SLURM_NTASKS": "1"}, {}):
        monkeypatch.delenv("SLURM_NTASKS", raising=False)
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        assert ranks.place() is None


def test_tasks_of_a_job() -> None:
    assert [ranks.count(s) for s in ({}, {"nodes": 2}, {"nodes": 2, "tasks_per_node": 4})] == [1, 2, 8]
