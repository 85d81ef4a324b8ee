"""`do=publish`: level with the store, however often, whatever the server does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint import Endpoint
from writing import LABEL, Following, Training, steps

from launching import copy, here, stage
from xstilts.config import Tracker
from xstilts.results import table as results
from xstilts.store import Store
from xstilts.sweep.screen import console
from xstilts.sweep.sweeps import all_
from xstilts.tracking import client, lock, readback
from xstilts.tracking import publish as publishing
from xstilts.tracking.publish import publish

Said = pytest.CaptureFixture[str]
XNLI = "xl > toy_pretrain > mnli > mnli : xnli"
MNLI = "xl > toy_pretrain > mnli"


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path / "store")


def published(store: Store, **changes: str) -> int:
    return publish(store, all_(store), Tracker(**changes), console())


def done(training: Training, rows: int = 40) -> Training:
    writing = training.attempt()
    writing.rows(0, rows)
    writing.end("done")
    return training


# a store of real stages -----------------------------------------------------------------------------------------------


def test_a_sweep_is_published_once_and_read_back(
    reference: Path, tmp_path: Path, server: Endpoint, capsys: Said
) -> None:
    path = copy(reference, tmp_path / "store")
    store = Store(path)
    sweeps = all_(store)
    assert here(path, "do=publish") == 0
    assert f"team/xstilts: {7 + len(sweeps)} sent, 0 level already" in capsys.readouterr().out

    for home in store.stages():
        run = server.runs[home.root.name]
        assert home.published is not None
        metrics = home.published / "metrics.jsonl"
        written = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        assert [row["step"] for row in written] == steps(run.rows)
        assert len(written) == len(run.rows)
        assert run.state == "finished"
    xnli = server.runs[stage(path, XNLI).root.name]
    assert {"model:xl", "inter:mnli", "target:xnli", "regime:english"} <= set(xnli.tags)
    assert (xnli.values["model"], xnli.values["target"]) == ("xl", "xnli")
    assert server.runs[stage(path, MNLI).root.name].values["target"] == ["xnli", "tatoeba"], "it serves both"

    summary = json.loads(xnli.summary)
    frame = results.table(store)
    mine = frame[(frame["stage"] == xnli.name) & (frame["split"] == "test") & (frame["inter"] == "mnli")]
    assert len(mine) > 5
    for row in mine.itertuples():
        assert summary[f"score/{row.language}"] == pytest.approx(row.value)
        assert summary[f"test/{row.language}/accuracy"] == pytest.approx(row.value)
        assert summary[f"count/{row.language}"] == row.count
    assert summary["cost/tokens_per_second"] > 0
    assert summary["cost/peak_memory_gib"] > 0.05

    for sweep in sweeps:
        there = readback.table(sweep.name, Tracker())
        assert there.equals(results.table(store, [sweep])), "the same table from W&B as from the store"

    sent = len([name for name in server.requests if name == "file_stream"])
    assert here(path, "do=publish", f"sweep={sweeps[0].name}") == 0
    assert "0 sent" in capsys.readouterr().out
    assert here(path, "do=publish") == 0
    assert f"0 sent, {7 + len(sweeps)} level already" in capsys.readouterr().out
    assert len([name for name in server.requests if name == "file_stream"]) == sent, "nothing was written again"


# one stage ------------------------------------------------------------------------------------------------------------


def test_only_what_is_new_is_sent(training: Training, server: Endpoint, capsys: Said) -> None:
    writing = training.attempt()
    writing.rows(0, 25)
    writing.end("failed")
    assert published(training.store) == 0
    run = server.runs[training.id]
    assert (len(run.rows), run.state) == (25, "failed")
    second = training.attempt()
    second.rows(0, 60)
    second.end("done")
    assert published(training.store) == 0
    assert steps(run.rows) == [*range(60)]
    assert run.state == "finished"
    assert json.loads(run.summary)["attempts"] == 2
    assert json.loads(run.summary)["cost/tokens_per_second"] == 500.0


def test_offline_then_published(training: Training, server: Endpoint, capsys: Said) -> None:
    """Run files for `wandb leet`, which asks nobody; then the same on a server, from the store and not from them."""
    following = Following()
    writing = training.attempt()
    following.begin(writing, Tracker(mode="offline"))
    writing.rows(0, 40)
    writing.end("done")
    following.close()
    assert following.said == []
    assert server.requests == []
    (folder,) = (training.store.root / "tracking" / "wandb").glob("offline-run-*")
    assert inspected(folder) == [*range(40)]
    assert published(training.store, mode="offline") == 0
    (folder,) = (training.store.root / "tracking" / "wandb").glob(f"offline-run-*-{training.id}")
    assert inspected(folder) == [*range(40)], "once, not twice"
    assert server.requests == []
    assert published(training.store) == 0
    assert steps(server.runs[training.id].rows) == [*range(40)]


def inspected(folder: Path) -> list[int]:
    """The steps that W&B's own reader finds in a run file."""
    line = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    records = [json.loads(one) for one in said.splitlines() if one.strip()]
    return [record["history"]["item"]["trainer/step"] for record in records if "history" in record]


def test_too_many_requests_are_waited_for(training: Training, server: Endpoint) -> None:
    server.fault("UpsertBucket", 429, times=1)
    server.fault("file_stream", 429, times=2, **{"Retry-After": "1"})
    assert published(done(training).store) == 0
    assert steps(server.runs[training.id].rows) == [*range(40)]


def test_what_a_server_refuses_is_no_success(training: Training, server: Endpoint, capsys: Said) -> None:
    """A 403 on rows: the client warns, and says that all went well."""
    server.fault("file_stream", 403)
    assert published(done(training).store) == 1
    assert f"not level: {training.id}: 0 rows, not 40" in capsys.readouterr().out
    server.faults.clear()
    assert published(training.store) == 0
    assert steps(server.runs[training.id].rows) == [*range(40)]


def test_rows_that_cannot_be_taken_back(training: Training, server: Endpoint, capsys: Said) -> None:
    assert published(done(training).store) == 0
    run = server.runs[training.id]
    run.history += run.history[:10]  # as `wandb sync` does, the second time
    assert published(training.store) == 1
    said = capsys.readouterr().out
    assert "50 rows, not 40" in said
    assert "tracker.salt=WORD" in said
    assert published(training.store, salt="again") == 0
    assert steps(server.runs[f"{training.id}-again"].rows) == [*range(40)]


def test_a_run_that_somebody_writes_is_left_alone(training: Training, server: Endpoint, capsys: Said) -> None:
    with lock.alone(training.store, training.id):
        assert published(done(training).store) == 0
    assert "1 left to the processes that run them" in capsys.readouterr().out
    assert training.id not in server.runs


def test_without_a_server_nothing_is_tried_run_by_run(
    training: Training, server: Endpoint, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(training)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(training.store.root / "none"))
    assert here(training.store.root, "do=publish") == 2
    assert "no W&B key here" in capsys.readouterr().err


def test_a_server_that_takes_nothing_is_given_up(
    training: Training, server: Endpoint, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "GIVE_UP", 1)
    monkeypatch.setattr(publishing, "AT_ONCE", 1)
    monkeypatch.setattr(client, "OPEN", 1.0)
    (sweep,) = all_(done(training).store)
    for name in ("second", "third", "fourth", "fifth"):
        replace(sweep, name=name).save(training.store)
    server.fault("UpsertBucket", 503)
    assert published(training.store) == 1
    said = capsys.readouterr().out
    assert f"not level: {training.id}" in said
    assert said.count("fault 503; the same command goes on") == 1
    assert "not tried after that: " in said
    monkeypatch.setattr(client, "OPEN", 30.0)
    client.library().teardown()  # the next command is a new process
    server.faults.clear()
    assert published(training.store) == 0
    assert "6 sent" in capsys.readouterr().out
    run = server.runs[training.id]
    assert (run.group, run.tags[:2]) == ("fifth", ["sweep:fifth", "sweep:first"]), "of one age: by name"


def test_a_server_that_dies_in_the_middle(
    training: Training, server: Endpoint, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CLOSE", 2.0)
    done(training)
    server.fault("file_stream", 503)
    assert published(training.store) == 1
    assert "Timed out finishing run.; the same command goes on" in capsys.readouterr().out
    server.faults.clear()
    assert published(training.store) == 0
    assert steps(server.runs[training.id].rows) == [*range(40)]
    assert LABEL in server.runs[training.id].title
