"""The process that fills the library: only what is missing, whole parts whatever happens, and mistakes in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.library import Library
from xstilts.work import prepare

Request = dict[str, Any]


@pytest.fixture
def request_(slices: Path, tmp_path: Path) -> Request:
    """The first slice's grid from the real slices."""
    world = {
        "name": "files",
        "kind": "files",
        "root": str(slices),
        "complete": False,
        "tokenizer": str(slices / "tokenizer"),
        "weights": None,
    }
    mini = {"name": "mini", "architecture": "xlm-roberta", "config": {"vocab_size": 250002}, "random": True}
    mini |= {"pretrain": None, "hub": {}}
    tasks = ["mnli", "xnli", "tatoeba"]
    return {"world": world, "tasks": tasks, "models": [mini], "library": str(tmp_path / "library")}


def command(request: Request, folder: Path) -> list[str]:
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    return [sys.executable, "-m", "xstilts.work.prepare", str(path)]


def stamps(library: Path) -> dict[str, int]:
    """When every file was written, locks aside."""
    found = [p for p in sorted(library.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(library)): p.stat().st_mtime_ns for p in found}


def test_a_process_fills_it_and_says_how_far_it_is(request_: Request, tmp_path: Path) -> None:
    done = subprocess.run(command(request_, tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["done"] for e in events] == [0, 1, 2, 3, 4]
    assert {e["total"] for e in events} == {4}
    assert events[0]["text"] == "model mini"
    library = Library(request_["library"])
    assert all(library.manifest(name) for name in request_["tasks"])
    manifest = library.model_manifest("mini")
    assert manifest is not None
    assert (manifest["vocabulary"], manifest["weights"]) == (250002, None)


def test_what_is_there_is_left_alone(request_: Request) -> None:
    prepare.run({**request_, "models": []})
    library = Path(request_["library"])
    before = stamps(library)
    prepare.run({**request_, "models": []})
    assert stamps(library) == before
    manifest = library / "data/mnli/manifest.json"
    manifest.unlink()
    prepare.run({**request_, "models": []})
    after = stamps(library)
    assert {path for path in after if after[path] != before[path]} == {
        "data/mnli/en/train.parquet",
        "data/mnli/en/selection.parquet",
        "data/mnli/manifest.json",
    }


def test_tasks_may_come_as_orchestration_has_them(request_: Request) -> None:
    from xstilts.task import load

    task = {**load("mnli").to_dict(), "counts": {}}
    prepare.run({**request_, "tasks": [task], "models": []})
    manifest = Library(request_["library"]).manifest("mnli")
    assert manifest is not None
    assert manifest["files"]["en/train"]["expected"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ["xnly"]}, "error: no task 'xnly'; did you mean 'xnli'?"),
        ({"tasks": ["qqp"]}, "error: qqp has no en/train in world=files; looked for "),
        ({"world": {"root": "/nowhere"}}, "error: world.root=/nowhere is not a folder"),
        ({"world": {"complete": True}}, "is not the published data set:"),
    ],
)
def test_mistakes_exit_with_2_and_one_message(
    request_: Request, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    world = {**request_["world"], **change.pop("world", {})}
    done = subprocess.run(
        command({**request_, "world": world, **change}, tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kill_leaves_whole_parts_only(request_: Request, tmp_path: Path) -> None:
    """And the same request then does the rest."""
    request = {**request_, "tasks": ["tatoeba"], "models": []}
    library = Library(request_["library"])
    process = subprocess.Popen(command(request, tmp_path), stdout=subprocess.DEVNULL)
    place = library.root / "data/tatoeba"
    until = time.monotonic() + 60
    while len(list(place.glob("*/*.parquet"))) < 3 and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    written = len(list(place.glob("*/*.parquet")))
    assert written >= 3
    if written < 36:
        assert library.manifest("tatoeba") is None
    prepare.run(request)
    manifest = library.manifest("tatoeba")
    assert manifest is not None
    for part in manifest["files"]:
        library.read("tatoeba", part)


def test_the_toy_world(tmp_path: Path) -> None:
    world = {"name": "toy", "kind": "toy", "seed": 0, "sizes": {"train": 20, "test": 10, "selection": 5, "dev": 5}}
    models = [{"name": "base"}]
    request = {"world": world, "tasks": ["mnli", "tatoeba"], "models": models, "library": str(tmp_path / "library")}
    prepare.run(request)
    library = Library(tmp_path / "library")
    manifest = library.manifest("mnli")
    assert manifest is not None
    assert manifest["files"]["en/train"]["rows"] == 20
    assert library.model_manifest("base") is not None
    before = stamps(library.root)
    prepare.run(request)
    assert stamps(library.root) == before
