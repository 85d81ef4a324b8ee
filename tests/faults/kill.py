"""Kills a training stage, over and over, and looks whether it ends with the weights it would have had.

Run as a process of its own, `python kill.py FOLDER odd|even|moments`, which imports everything once and forks a child
for every execution. Prints one JSON object: the deaths, how the last execution of each trial ended, and which differed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from safetensors.torch import load_file

import tiny
from xstilts.data.library import Library
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.work import checkpoint, run

KILLS = 50  # at random moments
DEADLINE = 60.0  # seconds an execution may take


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Boundaries:
    """Counts what makes something durable, and kills this process just before, or halfway through, number `fatal`."""

    CALLS = ("replace", "rename", "link", "fsync", "mkdir", "unlink", "rmdir")

    def __init__(self, fatal: int, report: int) -> None:
        self.left, self.report, self.thread = fatal, report, threading.get_ident()

    def install(self) -> None:
        for name in self.CALLS:
            setattr(os, name, self.before(name, getattr(os, name)))
        Path.touch = self.before("touch", Path.touch)  # type: ignore[method-assign]
        Path.write_bytes = self.torn("write_bytes", Path.write_bytes, lambda path, data: path)  # type: ignore[method-assign]
        checkpoint.save_file = self.torn("save_file", checkpoint.save_file, lambda tensors, path, *_: path)
        shutil.copyfile = self.torn("copyfile", shutil.copyfile, lambda source, path: path)

    def reached(self, name: str) -> bool:
        if threading.get_ident() != self.thread:  # signs of life come by the clock, not by the program
            return False
        self.left -= 1
        if self.left == 0:
            os.write(self.report, name.encode())
        return self.left == 0

    def before(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if self.reached(name):
                die()
            return call(*args, **options)

        return wrapped

    def torn(self, name: str, call: Callable[..., Any], path: Callable[..., Path]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if self.reached(name):
                die()
            half = self.reached(f"half a {name}")
            result = call(*args, **options)
            if half:
                target = path(*args)
                os.truncate(target, target.stat().st_size // 2)
                die()
            return result

        return wrapped


def execute(folder: Folder, fatal: int = 0, after: float | None = None) -> tuple[bool, str]:
    """One execution of the stage in a child; whether it lived, and the boundary that it died at or how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        Boundaries(fatal, writing).install()
        status = run.do({"stage": str(folder.root)}, lambda event: None, threading.Event())
        os.write(writing, status.encode())
        os._exit(0)
    os.close(writing)
    if after is not None:
        threading.Event().wait(after)
        os.kill(child, signal.SIGKILL)
    end = time.monotonic() + DEADLINE
    while (waited := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            raise TimeoutError(f"{folder.root} hangs")
        time.sleep(0.002)
    with os.fdopen(reading) as pipe:
        return os.WIFEXITED(waited[1]), pipe.read()


def outcome(folder: Folder) -> dict[str, Any]:
    """What a stage left, as far as it must not depend on its history."""
    place = folder.published
    assert place is not None
    weights = {**load_file(place / "checkpoint/model.safetensors"), **load_file(place / "checkpoint/heads.safetensors")}
    return {
        "weights": {name: weight.numpy().tobytes() for name, weight in weights.items()},
        "facts": json.loads((place / "checkpoint/checkpoint.json").read_text()),
        "metrics": (place / "metrics.jsonl").read_text(),
    }


def stage(made: Library, recipe: dict[str, Any]) -> Stage:
    """Saves its state after every step."""
    small = {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 8}
    mixture = [tiny.entry(made, tiny.TOPIC), tiny.entry(made, tiny.TEXT)]
    numerics = {"save_every": 0.0, "micro_tokens": 2048}
    return tiny.train_stage(made, mixture, numerics=numerics, config=small, warmup=0.0, **recipe)


class Trial:
    """Executions of one stage, in stores of their own, against one that nothing disturbed."""

    def __init__(self, root: Path, **recipe: Any) -> None:
        self.root, self.stage = root, stage(tiny.library(root / "library"), recipe)
        for name in ("warm", "reference"):
            folder = self.fresh(name)
            began = time.monotonic()
            run.do({"stage": str(folder.root)}, lambda event: None, threading.Event())
            self.seconds = time.monotonic() - began
        self.expected = outcome(folder)
        self.found: dict[str, list[str]] = {"deaths": [], "endings": [], "different": []}

    def fresh(self, name: str = "store") -> Folder:
        """The stage in a store where it was never run."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        return Store(self.root / name).enter(self.stage)

    def finish(self, folder: Folder, name: str) -> None:
        """Run it once more, undisturbed, and compare."""
        lived, ending = execute(folder)
        self.found["endings"].append(ending if lived else "died")
        if outcome(folder) != self.expected:
            self.found["different"].append(name)

    def boundaries(self, number: int) -> None:
        """Die at every second boundary from that number on, until an execution lives to its end."""
        lived = False
        while not lived:
            folder = self.fresh()
            lived, name = execute(folder, fatal=number)
            if not lived:
                self.found["deaths"].append(name)
            self.finish(folder, f"{number}: {name}")
            number += 2

    def moments(self) -> None:
        """Die at random moments, the same stage again and again until it is done, then from the beginning."""
        rng = random.Random(0)
        folder = self.fresh()
        while len(self.found["deaths"]) < KILLS:
            moment = rng.uniform(0, 1.2 * self.seconds)
            lived, _ = execute(folder, after=moment)
            if not lived:
                self.found["deaths"].append(f"{moment:.3f} s")
            if folder.marker.exists():
                self.finish(folder, f"{moment:.3f} s")
                folder = self.fresh()
        self.finish(folder, "last")


def main(root: Path, mode: str) -> dict[str, list[str]]:
    if mode == "moments":
        trial = Trial(root, steps=12, eval_every=3, checkpoint="best")
        trial.moments()
    else:  # two steps: a state is saved, and then replaced
        trial = Trial(root, steps=2, eval_every=1, checkpoint="last")
        trial.boundaries({"odd": 1, "even": 2}[mode])
    return trial.found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
