"""Live on W&B: the real follower with the real client, from a training that is killed, requeued, cut off."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from endpoint import Endpoint, wait
from writing import ONLINE, Following, Training, steps

from launching import launch, library
from xstilts.store import Store
from xstilts.sweep.screen import console
from xstilts.sweep.sweeps import all_
from xstilts.tracking import live
from xstilts.tracking.publish import publish


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path / "store")


@pytest.fixture
def following(server: Endpoint) -> Iterator[Following]:
    made = Following()
    yield made
    made.close()


def test_a_run_while_it_trains(
    training: Training, server: Endpoint, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_X_STATS_SAMPLING_INTERVAL", "0.5")
    writing = training.attempt()
    writing.rows(0, 3)
    process = following.begin(writing)
    run = wait(lambda: server.runs.get(training.id), "the run is there")
    assert (run.group, run.job_type, run.state) == ("first", "train", "running")
    assert run.tags == ["sweep:first", "model:tiny", "inter:none", "regime:english", "target:topic"]
    assert run.values["spec"] == training.stage.spec, "complete before the first row"
    assert (run.values["target"], run.values["seed"], run.values["sweeps"]) == ("topic", 3, ["first"])
    for number in (signal.SIGTERM, signal.SIGUSR2):  # as a cluster asks the training to save
        process.send_signal(number)
    writing.rows(3, 40)
    writing.end("done")
    wait(lambda: run.state == "finished", "the end")
    assert steps(run.rows) == [*range(40)]
    assert [row["_step"] for row in run.rows] == [*range(40)]
    assert run.rows[7]["train/loss"] == 1 / 8
    measured = json.loads(run.events[-1])["system.proc.memory.rssMB"]
    ours, its = (psutil.Process(pid).memory_info().rss / 2**20 for pid in (os.getpid(), process.pid))
    assert abs(measured - ours) < abs(measured - its), "how the training uses the machine, not how its follower does"
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


def test_a_killed_training_loses_nothing_that_it_wrote(
    training: Training, server: Endpoint, following: Following
) -> None:
    """Its follower sees that it is gone, and sends what is there."""
    writing = training.attempt()
    process = following.begin(writing)
    writing.rows(0, 33)
    with writing.path.open("a") as file:
        file.write('{"step": 33, "lo')  # killed in the middle of a line
    following.close()
    assert process.poll() == 0
    run = server.runs[training.id]
    assert steps(run.rows) == [*range(33)]
    assert run.state == "failed"


def test_a_killed_job_is_made_good(training: Training, server: Endpoint, following: Following) -> None:
    """Everything at once, as a cluster kills: the next attempt's follower sends what is missing, each row once."""
    first = training.attempt()
    first.rows(0, 30)
    process = following.begin(first)
    wait(lambda: training.id in server.runs, "the run is there")
    core = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    wait(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in core), "nobody is left")
    assert len(server.runs[training.id].rows) in (0, 30)
    second = training.attempt()
    second.rows(0, 45)
    following.begin(second)
    second.end("done")
    following.close()
    assert steps(server.runs[training.id].rows) == [*range(45)]
    assert following.said == []


def test_an_outage_in_the_middle(training: Training, server: Endpoint, following: Following) -> None:
    writing = training.attempt()
    writing.rows(0, 10)
    following.begin(writing)
    run = wait(lambda: server.runs.get(training.id), "the run is there")
    server.down()
    writing.rows(10, 30)
    time.sleep(1.5)
    server.up()
    writing.rows(30, 40)
    writing.end("done")
    following.close()
    assert steps(run.rows) == [*range(40)]
    assert run.state == "finished"


def test_a_server_that_stays_away_holds_nobody_up(
    training: Training, server: Endpoint, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 1.0)
    writing = training.attempt()
    writing.rows(0, 10)
    process = following.begin(writing)
    wait(lambda: training.id in server.runs, "the run is there")
    server.down()
    writing.rows(10, 40)
    writing.end("done")
    began = time.monotonic()
    following.close()
    assert time.monotonic() - began < 3
    assert process.poll() is not None
    server.up()
    assert publish(training.store, all_(training.store), ONLINE, console()) == 0
    assert steps(server.runs[training.id].rows) == [*range(40)]


def test_refused_rows_are_said_once(training: Training, server: Endpoint, following: Following) -> None:
    server.fault("file_stream", 403)
    writing = training.attempt()
    following.begin(writing)
    writing.rows(0, 10)
    writing.end("done")
    following.close()
    (said,) = following.said
    assert f"{training.id}: 0 rows, not 10" in said
    assert said.endswith("do=publish makes it good later")


@pytest.mark.slow
def test_a_command_with_and_without_a_server(reference: Path, tmp_path: Path, server: Endpoint) -> None:
    """All the way from what is typed; the sweep is done either way, and `do=publish` makes them equal."""
    store = library(reference, tmp_path / "store")
    grid = ["model=xl", "inter=none", "target=tatoeba", "tracker=online"]
    code, text = launch(store, *grid)
    assert code == 0, text
    assert "W&B" not in text
    homes = {home.root.name: home for home in Store(store).stages()}
    assert server.runs.keys() == homes.keys(), "the tables of the sweep are do=publish's"
    for name, run in server.runs.items():
        done = homes[name].published
        assert done is not None
        rows = done / "metrics.jsonl"
        assert len(run.rows) == (len(rows.read_text().splitlines()) if rows.exists() else 0)
        assert run.state == "finished"

    server.down()
    code, text = launch(store, *grid, "recipe.common.lr=2e-3", "sweep=alone")
    assert code == 0, text
    assert text.count("W&B: ") == 1, text
    server.up()
    assert launch(store, "do=publish")[0] == 0
    assert {home.root.name for home in Store(store).stages()} < server.runs.keys()
