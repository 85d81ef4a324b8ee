"""One training on several processes: the weights of one, exact to resume, and over when one of them dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import ranks
import tiny
from several import lines, progress, read, said, start, together, until, weights
from xstilts.data.library import Library
from xstilts.store import Store
from xstilts.task import Task
from xstilts.work import train

#: AdamW's own eps is next to nothing: where a gradient is so too, it would divide float32's rounding by itself.
EPS = 1e-2


def mixture(library: Library) -> list[dict[str, Any]]:
    """An ordinary head, one with masking, one that needs whole batches."""
    return [tiny.entry(library, task) for task in (tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS)]


@pytest.mark.parametrize(
    ("tasks", "size", "steps", "tolerance"),
    [
        ([tiny.TOPIC, tiny.TEXT], 4, 24, 1e-7),
        ([tiny.QUESTIONS], 4, 3, 5e-6),
        # A softmax of scale 100 enlarges rounding: another cut in one process moves these by 5e-6 too.
        ([tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS], 2, 24, 2e-5),
    ],
)
def test_several_processes_give_the_weights_of_one(
    library: Library, tmp_path: Path, tasks: list[Task], size: int, steps: int, tolerance: float
) -> None:
    """With dropout off: what is dropped differs from rank to rank."""
    entries = [tiny.entry(library, task) for task in tasks]
    stage = tiny.train_stage(library, entries, dropout=0.0, eps=EPS, steps=steps)
    one = tiny.attempt(tmp_path / "one", stage)
    train.run(one)
    several = together(tmp_path / "several", stage, size)
    expected, found = weights(one.folder), weights(several)
    differences = {name: float((found[name] - values).abs().max()) for name, values in expected.items()}
    print(f"{size} ranks: largest difference {max(differences.values()):.1e}")
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name], values, rtol=1e-6, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )
    for mine, theirs in zip(lines(one.folder), lines(several), strict=True):
        told = [name for name in mine if not name.startswith("selection")]  # ranks of candidates jump
        assert [theirs[name] for name in told] == pytest.approx([mine[name] for name in told], rel=1e-4)
    notes = read(several, "record.json")["notes"]
    assert notes["machine"]["ranks"] == size
    assert notes["tokens"] == one.notes["tokens"]


def test_stopped_and_resumed_is_uninterrupted_to_the_bit(library: Library, tmp_path: Path) -> None:
    """Dropout on, and only one rank, not the one that writes, is asked to stop."""
    stage = tiny.train_stage(library, mixture(library), steps=60, eval_every=20, checkpoint="best")
    straight = together(tmp_path / "straight", stage, 2)
    folder = Store(tmp_path / "resumed").enter(stage)
    processes = start(folder, 2)
    until(lambda: progress(folder) > 3, folder)
    assert processes[1].pid is not None
    os.kill(processes[1].pid, signal.SIGTERM)
    assert ranks.ended(processes) == [130, 130], said(folder)
    first = folder.attempts()[0]
    assert read(first, "record.json")["status"] == "stopped"
    done = read(first / "resume", "state.json")["step"]
    assert 3 < done < 60
    resumed = together(tmp_path / "resumed", stage, 2)
    assert read(resumed, "record.json")["notes"]["resumed"] == {"attempt": "1", "step": done, "changed": {}}
    a, b = weights(straight), weights(resumed)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert lines(straight) == lines(resumed)
    assert read(straight, "checkpoint/checkpoint.json") == read(resumed, "checkpoint/checkpoint.json")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_all(library: Library, tmp_path: Path, victim: int) -> None:
    folder = Store(tmp_path).enter(tiny.train_stage(library, steps=100_000))
    processes = start(folder, 2)
    until(lambda: progress(folder) > 3, folder)
    processes[victim].kill()
    codes = ranks.ended(processes, 30)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 1, said(folder)
    if victim:
        record = read(folder.attempts()[0], "record.json")
        assert record["status"] == "failed"
        assert "another process of this stage was killed" in record["error"]
