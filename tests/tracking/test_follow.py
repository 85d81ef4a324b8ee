"""Live on W&B: the real follower with the real client, from a training that is killed, requeued, cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from endpoint import Endpoint, wait
from writing import Following, Training, steps

from xstilts.config import Tracker


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path / "store")


@pytest.fixture
def following(server: Endpoint) -> Iterator[Following]:
    made = Following()
    yield made
    made.close()


def test_a_run_while_it_trains(training: Training, server: Endpoint, following: Following) -> None:
    writing = training.attempt()
    writing.rows(0, 3)
    process = following.begin(writing)
    run = wait(lambda: server.runs.get(training.id), "the run is there")
    assert (run.group, run.job_type, run.state) == ("first", "train", "running")
    assert run.tags == ["sweep:first", "model:tiny", "inter:none", "regime:english", "target:topic"]
    assert run.values["spec"] == training.stage.spec, "complete before the first row"
    assert (run.values["target"], run.values["seed"], run.values["sweeps"]) == ("topic", 3, ["first"])
    writing.rows(3, 40)
    writing.end("done")
    wait(lambda: run.state == "finished", "the end")
    assert steps(run.rows) == [*range(40)]
    assert [row["_step"] for row in run.rows] == [*range(40)]
    assert run.rows[7]["train/loss"] == 1 / 8
    following.close()
    assert process.poll() == 0
    assert following.said == []


def test_a_requeued_stage_goes_on_without_doubled_or_shifted_steps(
    training: Training, server: Endpoint, following: Following
) -> None:
    first = training.attempt()
    first.rows(0, 30)
    following.begin(first)
    first.end("stopped")
    run = wait(lambda: server.runs.get(training.id), "the run is there")
    wait(lambda: run.state == "preempted", "it is known to come back")
    assert steps(run.rows) == [*range(30)]

    second = training.attempt()
    second.rows(0, 20)  # from the state that was saved after step 20: 20 to 29 are made again
    following.begin(second)
    second.rows(20, 50)
    second.end("done")
    wait(lambda: run.state == "finished", "the end")
    assert steps(run.rows) == [*range(50)]
    following.close()
    assert following.said == []


def test_no_key(
    training: Training, server: Endpoint, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for _ in range(2):
        writing = training.attempt()
        following.begin(writing)
        writing.rows(0, 3)
        writing.end("failed")
    following.close()
    (said,) = following.said
    assert "no W&B key" in said
    assert "do=publish" in said
    assert said in (writing.attempt.folder / "log.txt").read_text()
