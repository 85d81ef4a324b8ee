"""A training that is interrupted in every way there is, and ends with the weights it would have had."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from launching import FIRST, Launch, Terminal, launch, library, record, stage, until
from xstilts import files

LONG = [*FIRST, "recipe.pretrain.steps=400", "keep=all"]
TRAINED = "xl > toy_pretrain"
STEPS = 30  # that are made between two interruptions


def interrupted(store: Path, how: Callable[[Launch], None], **options: object) -> tuple[int, str, int]:
    """One launch that is interrupted as `how` does after some steps: its exit status, what it said, the step saved."""
    before = progress(store)
    going = Launch(store, *LONG, **options)  # type: ignore[arg-type]
    going.until(lambda: progress(store) >= before + STEPS, "some steps")
    how(going)
    code, text = going.wait()
    newest = stage(store, TRAINED).attempts()[-1]
    return code, text, files.read_json(newest / "resume" / "state.json")["step"]


def progress(store: Path) -> int:
    """The step that the newest attempt which has made one is at."""
    try:
        folders = stage(store, TRAINED).attempts()
    except StopIteration:
        return 0
    found = [f / "progress.json" for f in folders if (f / "progress.json").exists()]
    return int(files.read_json(found[-1])["done"]) if found else 0


def worker(going: Launch) -> psutil.Process:
    return next(iter(going.workers()))


@pytest.fixture(scope="module")
def uninterrupted(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = library(reference, tmp_path_factory.mktemp("uninterrupted"))
    assert launch(store, *LONG)[0] == 0
    return store


def weights(store: Path) -> dict[str, bytes]:
    done = stage(store, TRAINED).published
    assert done is not None
    names = (
        "checkpoint/model.safetensors",
        "checkpoint/heads.safetensors",
        "checkpoint/checkpoint.json",
        "metrics.jsonl",
    )
    return {name: (done / name).read_bytes() for name in names}


@pytest.mark.slow
def test_every_way_to_stop(reference: Path, uninterrupted: Path, tmp_path: Path) -> None:
    store = library(reference, tmp_path / "store")

    code, text, saved = interrupted(store, lambda going: going.send(signal.SIGINT))
    assert code == 130
    assert "Ctrl-C: the running stages save their state" in text
    assert "stopped with 0 of 2 stages done; the same command goes on" in text
    assert "Traceback" not in text

    code, text, now = interrupted(store, lambda going: worker(going).terminate())
    assert (code, now > saved) == (130, True)
    assert f"{TRAINED}: its process was asked to stop" in text

    # The driver is killed: nobody tells its worker, which saves and leaves nevertheless.
    code, _, now = interrupted(store, lambda going: going.send(signal.SIGKILL))
    assert (code, now > saved) == (-9, True)

    # The terminal is closed under it.
    terminal = Terminal()
    code, _, now = interrupted(store, lambda _: terminal.close(), terminal=terminal)
    assert (code, now > saved) == (130, True)
    assert TRAINED in terminal.text

    code, text = launch(store, *LONG)
    assert code == 0
    done = stage(store, TRAINED)
    assert done.published is not None
    assert record(done.published)["notes"]["resumed"]["step"] == now
    assert re.search(rf"resumed after step {now} from .*attempts/4/resume", (done.published / "log.txt").read_text())
    assert weights(store) == weights(uninterrupted)
    assert not [*store.rglob("resume")], "the state to resume from goes when the stage is done"
    assert not [*store.rglob(".*.tmp")]


def test_a_second_interruption_kills(reference: Path, tmp_path: Path) -> None:
    store = library(reference, tmp_path / "store")
    going = Launch(store, *FIRST, "recipe.pretrain.steps=100000")
    going.until(lambda: progress(store) > 0, "some steps")
    worker(going).suspend()  # it cannot save
    going.send(signal.SIGINT)
    with pytest.raises(TimeoutError):
        until(lambda: going.process.poll() is not None, "it waits for its worker", 2)
    going.send(signal.SIGINT)
    assert going.wait()[0] == 130
