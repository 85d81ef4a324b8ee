"""One training of which several processes have a share each: the weights of one, and everything else as ever."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import ranks
import tiny
from several import lines, progress, read, said, start, together, until, weights
from xstilts.data.library import Library
from xstilts.stage import Stage
from xstilts.store import Stopped, Store
from xstilts.task import Task
from xstilts.work import train

EPS = 1e-2  # as in test_follow
SPARSE = {"vocab_size": 200}  # of which the data has 60 ids at most


def one(store: Path, stage: Stage) -> Path:
    attempt = tiny.attempt(store, stage)
    train.run(attempt)
    return attempt.folder


def sharded(library: Library, tasks: list[Task], **options: Any) -> Stage:
    entries = [tiny.entry(library, task) for task in tasks]
    return tiny.train_stage(library, entries, numerics={"shard": True, **options.pop("numerics", {})}, **options)


def close(a: Path, b: Path, tolerance: float) -> None:
    expected, found = weights(a), weights(b)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name], values, rtol=1e-6, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def layout(attempt: Path, file: str) -> dict[str, tuple[list[int], str]]:
    with safe_open(attempt / "checkpoint" / file, "pt") as opened:
        names = opened.keys()
        slices = {name: opened.get_slice(name) for name in names}
    return {name: (part.get_shape(), part.get_dtype()) for name, part in slices.items()}


@pytest.mark.parametrize(
    ("tasks", "size", "options", "tolerance"),
    [
        ([tiny.TOPIC], 2, {"config": SPARSE, "checkpoint": "best", "clip": 0.01}, 1e-7),  # a cut table, clipped hard
        ([tiny.PARITY, tiny.TEXT], 4, {"batch_size": 2}, 1e-7),  # ranks without a unit; tied embeddings
        ([tiny.PARITY, tiny.TEXT], 3, {"numerics": {"micro_tokens": 16}}, 1e-7),  # several passes
        ([tiny.QUESTIONS], 4, {"steps": 3}, 5e-6),
        ([tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS], 2, {}, 2e-5),  # tolerances as in test_follow
    ],
)
def test_several_shares_give_the_weights_of_one(
    library: Library, tmp_path: Path, tasks: list[Task], size: int, options: dict[str, Any], tolerance: float
) -> None:
    stage = sharded(library, tasks, dropout=0.0, eps=EPS, **options)
    alone, several = one(tmp_path / "one", stage), together(tmp_path / "several", stage, size)
    close(alone, several, tolerance)
    for file in ("model.safetensors", "heads.safetensors"):
        assert list(layout(several, file).items()) == list(layout(alone, file).items())
    mine, theirs = (read(attempt, "checkpoint/checkpoint.json") for attempt in (alone, several))
    assert mine.keys() == theirs.keys()
    assert [at["step"] for at in mine["history"]] == [at["step"] for at in theirs["history"]]
    for a, b in zip(lines(alone), lines(several), strict=True):
        told = [name for name in a if not name.startswith("selection")]
        assert [b[name] for name in told] == pytest.approx([a[name] for name in told], rel=1e-4)
    notes = read(several, "record.json")["notes"]
    assert notes["machine"]["shard"] is True
    assert notes["machine"]["ranks"] == size


def test_shares_are_summed_as_copies_are(library: Library, tmp_path: Path) -> None:
    """With dropout and in half precision: as many ranks that have all of it draw and round alike."""
    stage = sharded(library, [tiny.TOPIC, tiny.TEXT], precision="bf16", eps=EPS, config=SPARSE)
    shares = together(tmp_path / "shares", stage, 2)
    stage.numerics["shard"] = False
    close(together(tmp_path / "copies", stage, 2), shares, 1e-6)


def test_killed_and_resumed_is_uninterrupted_to_the_bit(library: Library, tmp_path: Path) -> None:
    """Dropout on; the states are those of a kill, saved after every step, and of a signal that one rank hears."""
    tasks = [tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS]
    stage = sharded(library, tasks, steps=24, eval_every=6, checkpoint="best")
    straight = together(tmp_path / "straight", stage, 2)
    stage.numerics["save_every"] = 0.0
    folder = Store(tmp_path / "resumed").enter(stage)
    for end, number in ((5, signal.SIGKILL), (10, signal.SIGTERM)):
        processes = start(folder, 2)
        until(lambda end=end: progress(folder) > end, folder)
        assert processes[1].pid is not None
        os.kill(processes[1].pid, number)
        ranks.ended(processes, 30)
    killed, stopped = (read(attempt, "record.json") for attempt in folder.attempts())
    assert (killed["status"], stopped["status"]) == ("failed", "stopped")
    assert "another process of this stage was killed" in killed["error"]
    assert stopped["notes"]["resumed"]["step"] >= 5
    resumed = together(tmp_path / "resumed", stage, 2)
    a, b = weights(straight), weights(resumed)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert lines(straight) == lines(resumed)
    assert read(straight, "checkpoint/checkpoint.json") == read(resumed, "checkpoint/checkpoint.json")


def test_a_state_goes_on_with_another_number_of_shares(library: Library, tmp_path: Path) -> None:
    """One process, then three with shares, then two that have all of it."""
    recipe = {"dropout": 0.0, "eps": EPS, "checkpoint": "best", "steps": 150, "eval_every": 5}
    stage = sharded(library, [tiny.TOPIC], config=SPARSE, **recipe)
    straight = one(tmp_path / "straight", stage)
    with pytest.raises(Stopped):
        train.run(tiny.attempt(tmp_path / "resumed", stage, stop=tiny.Countdown(5)))
    folder = Store(tmp_path / "resumed").enter(stage)
    processes = start(folder, 3)
    until(lambda: len(folder.attempts()) == 2 and progress(folder) > 10, folder)
    assert processes[0].pid is not None
    os.kill(processes[0].pid, signal.SIGTERM)
    assert ranks.ended(processes) == [130] * 3, said(folder)
    assert sorted(path.name for path in (folder.attempts()[1] / "resume").glob("shard-*")) == [
        f"shard-{rank}-of-3" for rank in range(3)
    ]
    stage.numerics["shard"] = False
    stage.save(folder.spec)
    resumed = together(tmp_path / "resumed", stage, 2)
    changed = read(resumed, "record.json")["notes"]["resumed"]["changed"]
    assert changed == {"ranks": [3, 2], "shard": [True, None]}
    close(straight, resumed, 1e-6)


def test_what_diverges_keeps_its_last_finite_weights(library: Library, tmp_path: Path) -> None:
    stage = sharded(library, [tiny.TOPIC], lr=1e38, clip=None, steps=30, eval_every=20, dropout=0.0)
    alone, several = one(tmp_path / "one", stage), together(tmp_path / "several", stage, 2)
    mine, theirs = (read(attempt, "checkpoint/checkpoint.json") for attempt in (alone, several))
    assert theirs["diverged"] == mine["diverged"] is not None
    assert all(weight.isfinite().all() for weight in weights(several).values())
