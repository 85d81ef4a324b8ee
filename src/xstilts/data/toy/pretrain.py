"""Pretrain the toy models and ship their weights: `python -m xstilts.data.toy.pretrain [base large xl]`.

Each is an ordinary training stage of the task `toy_pretrain`, in a store of its own, so it can be interrupted and goes
on where it was. The same numerics (torch, one thread, the micro-batch) give the same weights, bit for bit.

`--seed` draws other data orders and maskings and `--mixed 0` leaves the mixed documents out: pretrainings to compare
with, which `--out` keeps apart from the shipped ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from xstilts import files
from xstilts import task as tasks
from xstilts.data import toy
from xstilts.data.library import Library
from xstilts.data.toy import models
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.task import Task

DOCUMENTS = {"train": 64000, "selection": 400}
#: by size: the peak learning rate; smaller models stand larger ones
RATES = {"base": 5e-3, "large": 3e-3, "xl": 2e-3}
STEPS = 4000
RECIPE: dict[str, Any] = {
    "warmup": 0.05,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.98,
    "eps": 1e-8,
    "clip": 1.0,
    "batch_size": 64,
    "epochs": None,
    "max_length": 128,
    "stride": 32,
    "max_query_length": 32,
    "dropout": None,
    "precision": "fp32",
    "checkpoint": "last",
    "eval_every": None,
    "selection_items": None,
    "patience": None,
    "sampler": "proportional",
    "temperature": 1.0,
    "cap": None,
}
NUMERICS = {
    "device": "cpu",
    "threads": 1,
    "micro_tokens": 1024,
    "embeddings": "auto",
    "shard": False,
    "save_every": 60,
}


def stage(name: str, task: Task, library: Library, seed: int = 0, steps: int = STEPS) -> Stage:
    """The training of one size on the corpus in a library."""
    parts, model = library.manifest(task.name), library.model_manifest(name)
    assert parts is not None
    assert model is not None

    def read(part: str) -> dict[str, Any]:
        return {"task": task.name, "part": part, **{key: parts["files"][part][key] for key in ("rows", "sha256")}}

    entry = {
        "name": task.name,
        "task": task.identity(),
        "train": [read(str(task.train))],
        "selection": read(str(task.selection)),
        "rate": None,
    }
    shape = {"architecture": "xlm-roberta", "config": models.config(name), "weights": None}
    return Stage(
        kind="train",
        spec={
            "model": {**shape, "tokenizer": model["tokenizer"]},
            "mixture": [entry],
            "recipe": {**RECIPE, "lr": RATES[name], "steps": steps},
            "seed": seed,
        },
        about={"label": f"toy {name}", "model": name, "parameters": models.parameters(name)},
        place={"library": str(library.root.absolute()), "model": name},
        numerics=NUMERICS,
    )


def run(folder: Folder) -> None:
    """Do a stage in a process of its own. Raises `CalledProcessError` when it fails; the log lies in its attempt."""
    subprocess.run([sys.executable, "-m", "xstilts.work.run", str(folder.root)], check=True)


def ship(folder: Folder, path: Path) -> None:
    """The weights of a finished stage in half precision: the encoder's, and its head's as `lm_head`."""
    import numpy as np
    from safetensors.numpy import load_file, save

    assert folder.published is not None
    checkpoint = folder.published / "checkpoint"
    heads = load_file(checkpoint / "heads.safetensors")
    named = {f"lm_head.{name.split('/', 1)[1]}": values for name, values in heads.items()}
    weights = load_file(checkpoint / "model.safetensors") | named
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {name: values.astype(np.float16) for name, values in weights.items()}
    files.write_bytes(path, save(half, metadata={"format": "pt"}))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xstilts.data.toy.pretrain", description=__doc__)
    parser.add_argument("models", nargs="*", default=list(models.SHAPES), metavar="MODEL")
    parser.add_argument("--store", type=Path, default=Path("store/toy-models"))
    parser.add_argument("--out", type=Path, default=models.WEIGHTS)
    parser.add_argument("--workers", type=int, default=2, help="sizes at a time, one thread each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--mixed", type=float, help="share of documents in two languages, in place of the task's own")
    options = parser.parse_args(arguments)
    task = tasks.load("toy_pretrain")
    if options.mixed is not None:
        task = replace(task, source={"toy": {**task.source["toy"], "mixed": options.mixed}})
    store, library = Store(options.store), Library(options.store / f"library-{task.source['toy']['mixed']}")
    world = {"name": "toy", "seed": 0, "sizes": DOCUMENTS, "weights": None}
    if (library.manifest(task.name) or {}).get("source") != toy.source(world, toy.localised(task)):
        toy.fill(world, [task], library)
    for name in options.models:
        models.model(name, world, library)
    stages = {name: stage(name, task, library, options.seed, options.steps) for name in options.models}

    def make(name: str) -> None:
        folder = store.enter(stages[name])
        run(folder)
        ship(folder, options.out / f"{name}.safetensors")

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(make, stages))


if __name__ == "__main__":
    main()
