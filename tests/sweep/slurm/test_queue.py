"""What the clients of a cluster say, and what is made of it; the clients are scripts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from xstilts import owner
from xstilts.sweep.slurm import owners, queue


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of clients, first in the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(queue, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(queue, "FRESH", -1.0)
    monkeypatch.setattr(owners, "_silent", 0.0)
    queue.config.cache_clear()
    queue._seen.clear()
    yield tmp_path  # type: ignore[misc]
    queue.config.cache_clear()
    queue._seen.clear()


def client(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def cluster(folder: Path, jobs: str = "", extra: str = "") -> None:
    client(folder, "sbatch", "exit 1")
    client(folder, "scontrol", f"echo 'ClusterName             = toy'\necho 'MaxArraySize = 10'\n{extra}")
    client(folder, "squeue", f"printf '{jobs}'")


def test_a_busy_controller_is_asked_again(bin_: Path) -> None:
    client(bin_, "squeue", f"echo x >> {bin_}/asked; [ $(wc -l < {bin_}/asked) = 3 ] && echo ok && exit 0\n"
           "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2; exit 1")  # fmt: skip
    assert queue.call("squeue") == "ok\n"


def test_patience_ends(bin_: Path) -> None:
    client(bin_, "squeue", "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1")
    with pytest.raises(queue.Unreachable, match="Unable to contact"):
        queue.call("squeue")


def test_a_refusal_is_not_repeated(bin_: Path) -> None:
    client(bin_, "sbatch", f"echo x >> {bin_}/asked; echo 'sbatch: error: invalid account' >&2; exit 1")
    with pytest.raises(queue.Refused, match="invalid account"):
        queue.call("sbatch")
    assert (bin_ / "asked").read_text() == "x\n"


def test_clients_do_not_inherit_a_job_s_variables(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SBATCH_PARTITION", "SLURM_CPU_BIND", "SLURM_CONF"):
        monkeypatch.setenv(name, "7")
    client(bin_, "sbatch", "env")
    seen = queue.call("sbatch")
    assert "SLURM_CONF=7" in seen
    assert "SLURM_JOB_ID" not in seen
    assert "SLURM_CPU_BIND" not in seen
    assert "SBATCH_PARTITION" not in seen
    assert os.environ["SLURM_JOB_ID"] == "7"


@pytest.mark.parametrize(
    ("state", "alive"),
    [("PENDING", True), ("RUNNING", True), ("COMPLETING", True), ("REQUEUE_HOLD", True), ("COMPLETED", False),
     ("FAILED", False), ("OUT_OF_MEMORY", False), ("CANCELLED", False), ("TIMEOUT", False)],
)  # fmt: skip
def test_who_is_alive(bin_: Path, state: str, alive: bool) -> None:
    cluster(bin_, f"12_3|{state}|None|train|odd\\n")
    assert owner.alive(holder("12_3"), float("inf")) == alive
    assert not owner.alive(holder("12_4"), float("inf"))  # which nobody knows any more


def holder(job: str | None, **changed: object) -> dict[str, object]:
    return {**owner.process(), "launcher": "slurm", "cluster": "toy", "job": job, "submission": "s", **changed}


def test_nobody_is_dead_whom_we_cannot_ask(bin_: Path) -> None:
    cluster(bin_)
    assert owner.alive(holder("1", cluster="elsewhere"), float("inf"))
    client(bin_, "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert owner.alive(holder("1"), float("inf"))


def test_others_jobs_may_be_hidden(bin_: Path) -> None:
    cluster(bin_, extra="echo 'PrivateData = jobs,usage'")
    assert owner.alive(holder("1", user="somebody"), float("inf"))
    assert not owner.alive(holder("1"), float("inf"))


def test_an_owner_without_a_job_lives_as_long_as_its_driver(bin_: Path) -> None:
    cluster(bin_)
    assert owner.alive(holder(None), float("inf"))
    assert not owner.alive(holder(None, started=0.0), float("inf"))


def test_endings_with_accounting_and_without(bin_: Path) -> None:
    cluster(bin_, "1|FAILED|None|a\\n3_0|TIMEOUT|None|b\\n")
    client(bin_, "sacct", "echo '1|OUT_OF_MEMORY'; echo '2|CANCELLED by 0'")
    assert queue.endings(["1", "2", "3_0", "4"]) == {"1": "OUT_OF_MEMORY", "2": "CANCELLED", "3_0": "TIMEOUT"}
    client(bin_, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert queue.endings(["1", "2", "3_0"]) == {"1": "FAILED", "3_0": "TIMEOUT"}


def test_a_job_that_is_younger_than_the_list_of_jobs_is_not_taken_for_ended(
    bin_: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FRESH", 60.0)
    cluster(bin_)
    assert queue.jobs(owner.user()) == {}
    cluster(bin_, jobs="77_0|PENDING|Priority|xstilts\\n")
    holder = {"launcher": "slurm", "cluster": "toy", "user": owner.user(), "job": "77_0", "since": time.time()}
    assert owners.alive(holder)
    assert not owners.alive({**holder, "job": "77_1"})
