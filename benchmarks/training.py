"""Training beside Hugging Face's Trainer: `python benchmarks/training.py [--kind pos] [--distinct 20000]`.

Contestants train the same stock architecture, from the same random weights, on the same data set with the same batch
size, learning rate schedule, clipping and AdamW (fused, which is the Trainer's default too), in fp32:

- max length: every batch padded to max_length, as run_xnli.py and run_qa.py do by default;
- dynamic: every batch padded to its longest item;
- grouped: dynamic, over batches of its own length-grouped sampler, which changes which examples meet in a step;
- xstilts: the stage process's own loop (`xstilts.work.train`), on random batches; `(whole table)` is the same with
  numerics.embeddings=whole, `(bucketed)` on batches of similar length (recipe.common.bucket=50, another training).

The Trainer gets features that are tokenized already. A round is four measured steps after one that is not, of batches
that are drawn anew every round: random ones for all but `grouped`, which gets its batches from everywhere in a
mega-batch of its sampler. Install with `pip install -e .[bench]`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
import transformers
from contest import Clock, Measured, contest, plain
from synthetic import BASE, SMALL, TASKS, VOCABULARY, Shape, library
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from xstilts import formats
from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.data.mixture import Mixture
from xstilts.formats.base import Limits
from xstilts.formats.labels import IGNORED
from xstilts.model import tokenizer as tokenizers
from xstilts.stage import Stage
from xstilts.store import Store, begin
from xstilts.work import inputs, train
from xstilts.work.attempt import Attempt
from xstilts.work.machine import Machine

MAX_LENGTH = 128
RECIPE: dict[str, Any] = {
    "lr": 2e-5,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "clip": 1.0,
    "epochs": None,
    "max_length": MAX_LENGTH,
    "stride": 64,
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
    device: str = "cpu"
    precision: str = "fp32"
    bucket: int | None = None  # steps whose units are exchanged
    before: int = 1

    @property
    def last(self) -> int:
        return self.before + self.steps

    @property
    def recipe(self) -> dict[str, Any]:
        return {
            **RECIPE,
            "batch_size": self.batch,
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
    features = _features(made, kind)
    mixture = Mixture.plan([features.lengths], [None], way.recipe, number)
    tokens = sum(int(features.lengths[mixture.batch(step)[1]].sum()) for step in range(way.before, way.last))
    return Measured(tokens, clock.cpu, clock.wall)


def theirs(made: Library, kind: str, shape: Shape, padding: str, place: Path, way: Way) -> Callable[[int], Measured]:
    """Hugging Face's Trainer with its own collators; logging as often as ours, no saving."""
    tokenizer = tokenizers.load(made.model_folder("bench"))
    features = _features(made, kind)
    items = [_item(features, unit, kind) for unit in range(len(features))]
    sizes = features.lengths.tolist()
    architecture, collator = {
        "nli": ("XLMRobertaForSequenceClassification", transformers.DataCollatorWithPadding),
        "pos": ("XLMRobertaForTokenClassification", transformers.DataCollatorForTokenClassification),
    }[kind]
    pad = {"padding": "max_length", "max_length": MAX_LENGTH} if padding == "max length" else {"padding": True}
    config = transformers.XLMRobertaConfig(**shape.config, num_labels=len(TASKS[kind].labels))

    def run(number: int) -> Measured:
        rng = np.random.default_rng(number)
        order = rng.permutation(len(items))[: way.last * way.batch]
        if padding == "grouped":
            order = _grouped(sizes, rng, way)
        plain()
        torch.manual_seed(0)
        with torch.device(way.device):
            model = getattr(transformers, architecture)(config)
        arguments = TrainingArguments(
            output_dir=str(place / "trainer"),
            per_device_train_batch_size=way.batch,
            max_steps=way.last,
            learning_rate=RECIPE["lr"],
            weight_decay=RECIPE["weight_decay"],
            warmup_steps=1,
            max_grad_norm=1.0,
            logging_steps=10,
            train_sampling_strategy="sequential",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=way.device == "cpu",
            bf16=way.precision == "bf16",
            dataloader_pin_memory=way.device != "cpu",
        )
        watch = _Watch(way)
        Trainer(
            model=model,
            args=arguments,
            train_dataset=[items[i] for i in order],
            data_collator=collator(tokenizer, **pad),
            callbacks=[watch],
        ).train()
        return Measured(sum(sizes[i] for i in order[way.before * way.batch :]), watch.measured.cpu, watch.measured.wall)

    return run


class _Watch(TrainerCallback):
    """As `Timed`."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == self.way.before:
            self.clock = Clock()
        if state.global_step == self.way.last:  # and not before: reading it waits for the device
            self.measured = self.clock.read(0)


def _grouped(sizes: list[int], rng: np.random.Generator, way: Way) -> np.ndarray:
    """`steps` batches, one from each part of a mega-batch, from long to short, in random order, after `before` others.

    At most the 50 of a mega-batch.
    """
    torch.manual_seed(int(rng.integers(2**31)))
    order = np.array(get_length_grouped_indices(sizes, way.batch))
    batches = order[: len(order) // way.batch * way.batch].reshape(-1, way.batch)
    mega = batches[: len(batches) // 50 * 50].reshape(-1, 50, way.batch)
    chosen = mega[rng.integers(len(mega))]
    parts = np.split(chosen[: 50 // way.steps * way.steps], way.steps)
    picked = [part[rng.integers(len(part))] for part in parts]
    warm = [picked[i % way.steps] for i in range(way.before)]
    return np.concatenate([*warm, *(picked[i] for i in rng.permutation(way.steps))])


@lru_cache(maxsize=2)
def _features(made: Library, kind: str) -> Features:
    task = TASKS[kind]
    tokenizer = tokenizers.load(made.model_folder("bench"))
    return formats.get(task.format).features(made.read(kind, "en/train"), task, tokenizer, Limits(MAX_LENGTH))


def _item(features: Features, unit: int, kind: str) -> dict[str, Any]:
    """As `tokenizer(...)` gives it."""
    span = slice(features.starts[unit], features.starts[unit + 1])
    align, labels = features.fields["labels"]
    label = int(labels[unit]) if align == "unit" else np.where(labels[span] == IGNORED, -100, labels[span]).tolist()
    ids = features.tokens[span].tolist()
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "label" if align == "unit" else "labels": label}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["nli", "pos"], default="nli")
    parser.add_argument("--distinct", type=int, default=40_000, help="ids that occur, of 250,002 (default 40000)")
    parser.add_argument("--model", choices=["small", "base"], default="small", help="6 x 384 or XLM-R base")
    parser.add_argument("--items", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="contestants, comma-separated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape, way = {"small": SMALL, "base": BASE}[options.model], Way()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = library(place / "library", options.kind, options.items, options.distinct)
        contestants = {
            **{how: theirs(made, options.kind, shape, how, place, way) for how in ("max length", "dynamic", "grouped")},
            "xstilts (whole table)": ours(made, options.kind, shape, "whole", place, way),
            "xstilts": ours(made, options.kind, shape, "auto", place, way),
            "xstilts (bucketed)": ours(made, options.kind, shape, "auto", place, replace(way, bucket=50)),
        }
        if options.only:
            contestants = {name: contestants[name] for name in options.only.split(",")}
        title = f"training, {options.kind}, {options.model}, {options.distinct:,} of {VOCABULARY:,} ids"
        against = [name for name in ("max length", "dynamic", "grouped") if name in contestants]
        contest(title, "useful tokens", contestants, options.rounds, against or list(contestants)[:1])


if __name__ == "__main__":
    main()
