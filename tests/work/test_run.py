"""The process that does stages: one at a time, once, with a record; what stops it, and what it says of failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import tiny
from xstilts import files, owner
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.work import evaluate, run, train
from xstilts.work.attempt import Attempt

PARTS = ["en/dev", "en/test", "sw/test"]


def do(folder: Folder, stop: threading.Event | None = None, **request: Any) -> dict[str, Any]:
    """Do a stage; the last event it reports."""
    events: list[dict[str, Any]] = []
    status = run.do({"stage": str(folder.root), **request}, events.append, stop or threading.Event())
    assert (events[-1]["event"], events[-1]["status"]) == ("end", status)
    return events[-1]


def entered(store: Path, stage: Stage) -> Folder:
    return Store(store).enter(stage)


def record(folder: Folder, number: int = 1) -> dict[str, Any]:
    return files.read_json(folder.root / f"attempts/{number}/record.json")


def log(folder: Folder, number: int = 1) -> str:
    return (folder.root / f"attempts/{number}/log.txt").read_text()


def weights(folder: Folder, number: int) -> dict[str, torch.Tensor]:
    return load_file(folder.root / f"attempts/{number}/checkpoint/model.safetensors")


@pytest.fixture
def trained(library: Library, tmp_path: Path) -> Folder:
    """A training that is done."""
    folder = entered(tmp_path, tiny.train_stage(library))
    assert do(folder)["status"] == "done"
    return folder


def evaluation(library: Library, trained: Folder) -> Stage:
    return tiny.evaluate_stage(library, tiny.TOPIC, PARTS, "topic", upstream={"checkpoint": trained.root.name})


def test_a_stage_is_done_once_and_says_by_whom_and_how(library: Library, trained: Folder) -> None:
    evaluated = entered(trained.root.parents[1], evaluation(library, trained))
    assert do(evaluated)["status"] == "done"
    for folder in (trained, evaluated):
        assert do(folder)["status"] == "reused"
        assert [a.name for a in folder.attempts()] == ["1"]
        assert files.read_json(folder.marker)["attempt"] == 1
        assert folder.owner() is None
        found = record(folder)
        assert (found["user"], found["pid"], found["status"]) == (owner.user(), os.getpid(), "done")
        assert len(found["commit"].rstrip("+")) == 40
        assert {"xstilts", "python", "torch", "transformers", "numpy"} <= found["versions"].keys()
        assert found["versions"]["torch"] == torch.__version__
        assert found["numerics"] == tiny.NUMERICS
        assert found["notes"]["machine"]["threads"] == torch.get_num_threads()
        assert 0 < found["seconds"] <= found["ended"] - found["started"] + 1
        assert found["notes"]["tokens"] > 100
        assert found["notes"]["peak_memory"] > 50 << 20, "bytes"
    assert record(evaluated)["sources"] == {"checkpoint": f"{trained.root.name}/1"}


def test_who_is_alive_keeps_it_and_who_is_dead_does_not(library: Library, tmp_path: Path) -> None:
    stage = tiny.train_stage(library)
    folder = entered(tmp_path, stage)
    sleeper = subprocess.Popen(["sleep", "60"])
    claim = Store(tmp_path).claim(stage, owner.process(sleeper.pid), owner.alive)
    assert claim is not None
    assert do(folder)["status"] == "busy"
    assert folder.attempts() == []
    sleeper.kill()
    sleeper.wait()
    assert do(folder)["status"] == "done"
    assert [c.name for c in folder.claims()] == ["1.json", "2.json"]


def test_stopped_is_not_failed_and_goes_on(library: Library, tmp_path: Path, trained: Folder) -> None:
    folder = entered(tmp_path / "other", tiny.train_stage(library))
    assert do(folder, tiny.Countdown(5))["status"] == "stopped"
    assert do(folder, tiny.Countdown(3))["status"] == "stopped"
    assert not (folder.root / "attempts/1/resume").exists(), "a newer state is whole"
    assert (folder.root / "attempts/2/resume").is_dir()
    assert record(folder, 2)["status"] == "stopped"
    assert "stopped: after step" in log(folder, 2)
    assert do(folder)["status"] == "done"
    assert "resumed after step" in log(folder, 3)
    assert not list(folder.root.rglob("*resume*"))
    uninterrupted = weights(trained, 1)
    assert all(torch.equal(w, uninterrupted[name]) for name, w in weights(folder, 3).items())


def raising(error: Exception) -> Callable[[Attempt], None]:
    def fail(attempt: Attempt) -> None:
        raise error

    return fail


def test_a_mistake_is_a_line_and_a_bug_is_a_traceback_in_the_log(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = entered(tmp_path, tiny.train_stage(library))
    cases: list[tuple[Exception, str, bool]] = [
        (UserError("the file is bad: mend it"), "the file is bad: mend it", False),
        (ZeroDivisionError("by nothing\nat all"), "ZeroDivisionError: by nothing", True),
        (OSError(28, "No space left on device", "x"), "the disk is full (No space left on device): free some", True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full", True),
        (PermissionError(13, "Permission denied", "/somewhere"), "/somewhere: Permission denied", True),
    ]
    for number, (error, line, traceback) in enumerate(cases, 1):
        monkeypatch.setattr(train, "run", raising(error))
        end = do(folder)
        assert (end["status"], end["attempt"]) == ("failed", str(folder.root / f"attempts/{number}"))
        assert end["error"].startswith(line)
        assert "\n" not in end["error"]
        assert record(folder, number)["error"] == end["error"]
        assert ("Traceback" in log(folder, number)) == traceback
        assert line.split(":")[-1].strip() in log(folder, number) or traceback
    assert folder.published is None
    assert folder.owner() is None


def test_a_disk_that_is_full_for_the_record_too(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = entered(tmp_path, tiny.train_stage(library))
    written = Attempt.write_record

    def full(attempt: Attempt, status: str, **more: Any) -> None:
        if status != "running":
            raise OSError(28, "No space left on device")
        written(attempt, status, **more)

    monkeypatch.setattr(Attempt, "write_record", full)
    end = do(folder)
    assert end["status"] == "failed"
    assert end["error"].startswith("the disk is full")
    assert folder.published is None


def test_a_file_that_is_no_stage(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "stages/train-x")
    folder.root.mkdir(parents=True)
    folder.spec.write_text("- no\n")
    end = do(folder)
    assert (end["status"], end["attempt"]) == ("failed", None)
    assert "stage.yaml: not a frozen stage" in end["error"]


def test_what_it_starts_from_must_be_there(library: Library, tmp_path: Path, trained: Folder) -> None:
    folder = entered(tmp_path / "elsewhere", evaluation(library, trained))
    assert f"starts from {trained.root.name}, and it is not done" in do(folder)["error"]
    assert do(folder, read=[str(tmp_path)])["status"] == "done", "done in a store that is read"
    folder = entered(tmp_path, evaluation(library, trained))
    files.remove(trained.root / "attempts/1/checkpoint")
    assert "its weights were deleted to save disk" in do(folder)["error"]
    assert do(trained)["status"] == "done", "and are made again"
    assert [a.name for a in trained.attempts()] == ["1", "2"]
    assert do(folder)["status"] == "done"


def test_places_and_numerics_are_those_of_now(library: Library, tmp_path: Path) -> None:
    """Frozen is what decides the result; the library may have moved since, and the machine be another one."""
    stage = tiny.train_stage(library)
    frozen = Stage(stage.kind, stage.spec, {}, {}, {"library": "/gone", "model": "tiny"}, {**tiny.NUMERICS})
    folder = entered(tmp_path, frozen)
    assert "/gone" in do(folder)["error"]
    numerics = {**tiny.NUMERICS, "micro_tokens": 128}
    assert do(folder, place=stage.place, numerics=numerics)["status"] == "done"
    assert record(folder, 2)["numerics"]["micro_tokens"] == 128
    assert Stage.load(folder.spec).place == stage.place


def test_a_rerun_is_an_attempt_of_its_own(library: Library, tmp_path: Path) -> None:
    """It publishes nothing, resumes nothing of what it is compared with, and goes on where it was interrupted."""
    folder = entered(tmp_path, tiny.train_stage(library, numerics={"save_every": 0.0}))
    assert do(folder, tiny.Countdown(5))["status"] == "stopped"
    assert do(folder)["status"] == "done"
    marker = folder.marker.read_bytes()
    for number in (3, 4):
        assert do(folder, rerun=True)["status"] == "done"
        assert record(folder, number)["rerun"] is True
        assert "resumed" not in log(folder, number)
        assert not (folder.root / f"attempts/{number}/resume").exists()
    assert do(folder, tiny.Countdown(5), rerun=True)["status"] == "stopped"
    assert do(folder, rerun=True)["status"] == "done"
    assert "resumed after step" in log(folder, 6)
    assert folder.marker.read_bytes() == marker
    published = weights(folder, 2)
    for number in (3, 4, 6):
        assert all(torch.equal(w, published[name]) for name, w in weights(folder, number).items())


def test_a_rerun_goes_on_only_from_the_same_sources(library: Library, trained: Folder) -> None:
    home = trained.root.parents[1]
    assert do(trained, rerun=True)["status"] == "done"
    second = entered(home, tiny.train_stage(library, seed=1, upstream={"init": trained.root.name}))
    assert do(second)["status"] == "done"
    first, again = ({"init": str(trained.root / "attempts" / n)} for n in "12")
    assert do(second, tiny.Countdown(5), rerun=True, sources=first)["status"] == "stopped"
    assert do(second, rerun=True, sources=again)["status"] == "done"
    assert record(second, 3)["sources"] == {"init": f"{trained.root.name}/2"}
    assert "resumed" not in log(second, 3)


def test_an_older_execution_that_wakes_up_stops(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = entered(tmp_path, tiny.train_stage(library))
    whole = train.run

    def overtaken(attempt: Attempt) -> None:
        (folder.root / "attempts/2").mkdir()
        whole(attempt)

    monkeypatch.setattr(train, "run", overtaken)
    assert do(folder)["status"] == "fenced"
    assert folder.published is None
    assert not (folder.root / "attempts/1/checkpoint").exists()


def test_everything_printed_is_in_the_log_and_nothing_else_is(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def noisy(attempt: Attempt) -> None:
        print("from Python")
        os.system("echo from a child; echo and its errors >&2")
        raise UserError("enough")

    monkeypatch.setattr(evaluate, "run", noisy)
    folder = entered(tmp_path, tiny.evaluate_stage(library, tiny.TWINS, ["en/test"]))
    do(folder)
    print("after")
    assert capfd.readouterr().out == "after\n"
    assert sorted(log(folder).splitlines()) == ["and its errors", "error: enough", "from Python", "from a child"]


def test_the_command_for_people(library: Library, trained: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    home = trained.root.parents[1]
    evaluated = entered(home, evaluation(library, trained))
    lost = entered(home, tiny.train_stage(library, upstream={"init": "train-0000000000000000"}))
    assert run.main([str(trained.root), str(evaluated.root)]) == 0
    assert capsys.readouterr().out == f"{trained.root.name}: reused\n{evaluated.root.name}: done\n"
    assert run.main([str(lost.root)]) == 1
    assert "failed: starts from train-0000000000000000, and it is not done" in capsys.readouterr().out


def test_a_worker_serves_stages_and_leaves_with_its_launcher(library: Library, tmp_path: Path) -> None:
    short = entered(tmp_path, tiny.evaluate_stage(library, tiny.TWINS, ["en/test"]))
    long = entered(tmp_path, tiny.train_stage(library, steps=1_000_000, eval_every=None))
    command = [sys.executable, "-m", "xstilts.work.run", "--serve"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert worker.stdin is not None
    assert worker.stdout is not None
    for folder in (short, long):
        worker.stdin.write(json.dumps({"stage": str(folder.root)}) + "\n")
    events = []
    for line in worker.stdout:
        events.append(json.loads(line))
        if events[-1].get("total") == 1_000_000 and events[-1]["done"] > 1:
            break
    assert [e["status"] for e in events if e["event"] == "end"] == ["done"]
    began = time.monotonic()
    worker.stdin.close()
    rest = [json.loads(line) for line in worker.stdout]
    assert (rest[-1]["event"], rest[-1]["status"]) == ("end", "stopped")
    assert worker.wait(60) == 0
    assert time.monotonic() - began < 60
    assert (long.root / "attempts/1/resume/state.json").exists()
    assert long.owner() is None
