"""The stage process's own loop, `xstilts.work.train`, with a clock in it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from contest import Clock, Measured
from synthetic import TASKS, Shape

from xstilts import formats
from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.data.mixture import Mixture
from xstilts.formats.base import Limits
from xstilts.model import tokenizer as tokenizers
from xstilts.stage import Stage
from xstilts.store import Store, begin
from xstilts.work import inputs, train
from xstilts.work.attempt import Attempt
from xstilts.work.machine import Machine

RECIPE: dict[str, Any] = {
    "lr": 2e-5,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "clip": 1.0,
    "epochs": None,
    "stride": 128,
    "max_query_length": 64,
    "dropout": None,
    "checkpoint": "last",
    "eval_every": 10_000,
    "selection_items": None,
    "patience": None,
    "sampler": "proportional",
    "temperature": 1.0,
    "cap": None,
}


@dataclass(frozen=True)
class Way:
    """How every contestant trains: `before` steps, then with the clock running `steps`, all of `batch` items."""

    steps: int = 4
    batch: int = 32
    max_length: int = 128
    device: str = "cpu"
    precision: str = "fp32"
    bucket: int | None = None  # steps whose units are exchanged
    before: int = 1

    @classmethod
    def of(cls, kind: str) -> Way:
        """As the recipes have it for such a task."""
        return cls(batch=16, max_length=384) if kind == "qa" else cls()

    @property
    def last(self) -> int:
        return self.before + self.steps

    @property
    def recipe(self) -> dict[str, Any]:
        return {
            **RECIPE,
            "batch_size": self.batch,
            "max_length": self.max_length,
            "steps": self.last,
            "precision": self.precision,
            "bucket": self.bucket,
        }


class Over(Exception):
    """All was measured: the checkpoint need not be written."""


class Timed(Attempt):
    """An attempt whose clock runs from the end of step `before` to that of its last one.

    `first`: seconds to the end of its first step, without those that making the model took. `peak`, `reserved`: bytes,
    of the device or the process.
    """

    before = 1
    making = 0.0

    def progress(self, done: int, total: int) -> None:
        super().progress(done, total)
        if done == 1:
            Clock()  # waits for the device
            self.first = time.perf_counter() - self.began - self.making
        if done == self.before:
            self.clock = Clock()
        if done == total:
            self.measured = self.clock.read(0)
            machine = Machine(torch.device(self.stage.numerics["device"]), 0, bf16=False)
            self.peak = machine.peak_memory()
            self.reserved = torch.cuda.max_memory_reserved() if machine.device.type == "cuda" else self.peak
            raise Over


def staged(made: Library, kind: str, shape: Shape, embeddings: str, way: Way, number: int) -> Stage:
    """The stage that trains the library's one task from random weights."""
    task = TASKS[kind]
    manifest, model = made.manifest(kind), made.model_manifest("bench")
    assert manifest is not None
    assert model is not None
    known = manifest["files"]["en/train"]
    source = {"task": kind, "part": "en/train", "rows": known["rows"], "sha256": known["sha256"]}
    entry = {"name": kind, "task": task.identity(), "train": [source], "selection": None, "rate": None}
    identity = {
        "architecture": shape.architecture,
        "config": shape.config,
        "weights": None,
        "tokenizer": model["tokenizer"],
    }
    threads = 1 if way.device == "cpu" else None
    numerics = {
        "device": way.device,
        "threads": threads,
        "micro_tokens": None,
        "save_every": 1e9,
        "embeddings": embeddings,
        "shard": False,
    }
    spec = {"model": identity, "mixture": [entry], "recipe": way.recipe, "seed": number}
    return Stage("train", spec, {}, {}, {"library": str(made.root), "model": "bench"}, numerics)


def attempted(made: Library, kind: str, shape: Shape, embeddings: str, place: Path, way: Way, number: int) -> Timed:
    """A whole training stage in a store of its own, until it would be saved; loading is not counted, logging is."""
    stage = staged(made, kind, shape, embeddings, way, number)
    with tempfile.TemporaryDirectory(dir=place) as store:
        home = Store(Path(store)).enter(stage)
        attempt = Timed(stage, begin(home), home, {}, lambda event: None, threading.Event())
        attempt.before, attempt.began = way.before, time.perf_counter()
        with making(attempt), suppress(Over):
            train.run(attempt)
    return attempt


@contextmanager
def making(attempt: Timed) -> Iterator[None]:
    """Inside, the seconds that a stage takes to make its model are added to the attempt's."""
    make = inputs.encoder

    def encoder(*arguments: Any) -> Any:
        began = time.perf_counter()
        made = make(*arguments)
        attempt.making += time.perf_counter() - began
        return made

    inputs.encoder = encoder
    try:
        yield
    finally:
        inputs.encoder = make


def ours(made: Library, kind: str, shape: Shape, embeddings: str, place: Path, way: Way) -> Callable[[int], Measured]:
    def run(number: int) -> Measured:
        attempt = attempted(made, kind, shape, embeddings, place, way, number)
        return measured(made, kind, way, number, attempt.measured)

    return run


def measured(made: Library, kind: str, way: Way, number: int, clock: Measured) -> Measured:
    """Useful tokens of the steps that the clock was read over."""
    read = features(made, kind, way.max_length)
    mixture = Mixture.plan([read.lengths], [None], way.recipe, number)
    tokens = sum(int(read.lengths[mixture.batch(step)[1]].sum()) for step in range(way.before, way.last))
    return Measured(tokens, clock.cpu, clock.wall)


@lru_cache(maxsize=1)
def features(made: Library, kind: str, max_length: int) -> Features:
    """What everybody trains on."""
    task = TASKS[kind]
    tokenizer = tokenizers.load(made.model_folder("bench"))
    limits = Limits(max_length, RECIPE["stride"], RECIPE["max_query_length"])
    return formats.get(task.format).features(made.read(kind, "en/train"), task, tokenizer, limits)
