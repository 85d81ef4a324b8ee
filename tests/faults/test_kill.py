"""A training that is killed anywhere ends, after the same command again, with the weights it would have had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: processes are killed here, not disks."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def kill(folder: Path, mode: str) -> dict[str, list[str]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, str(Path(__file__).with_name("kill.py")), str(folder), mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["different"] == []
    assert set(found["endings"]) <= {"done", "reused"}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("half", ["odd", "even"])
def test_killed_at_every_boundary(folder: Path, half: str) -> None:
    """Just before, or halfway through, every write, sync, link, rename and delete. In two halves, for two cores."""
    found = kill(folder, half)
    assert len(found["deaths"]) > 40
    reached = {death.removeprefix("half a ") for death in found["deaths"]}  # which half has which is chance
    assert reached >= {"fsync", "mkdir", "rename", "replace", "save_file"}


@pytest.mark.slow
def test_killed_at_random_moments(folder: Path) -> None:
    assert len(kill(folder, "moments")["deaths"]) == 50
