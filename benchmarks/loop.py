"""What a training spends beside forward, backward and update: `python benchmarks/loop.py [--rounds 5] [--model small]`.

- loop: `xstilts.work.train` with its sampling, gathering, logging and progress, beside a bare loop over the same
  micro-batches, gathered beforehand: forward, loss, backward, clipping and AdamW's own step. CPU seconds of the same 20
  steps, after one that is not counted.
- save: one resume state, in seconds of the wall, as a share of the 300 s between two (`numerics.save_every`).
- start: a stage as a process of its own, features tokenized before, from its first instruction to the end of its first
  step; that step is taken off. Random weights take the place of loading.

Goals: loop and saving below 3 % together, the start below 5 s on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from contest import Clock, Measured, contest, spread
from stages import Way, attempted, measured, staged
from synthetic import BASE, SMALL, Shape, library

from xstilts.data.library import Library
from xstilts.model import optimizer
from xstilts.model.parallel import ALONE
from xstilts.store import Store, begin
from xstilts.work import checkpoint, share
from xstilts.work.attempt import Attempt
from xstilts.work.setting import Setting
from xstilts.work.state import State

EVERY = 300.0  # numerics.save_every
WAY = Way(steps=20)


def built(made: Library, kind: str, shape: Shape, number: int, place: Path) -> Setting:
    """As `train.run` builds it."""
    stage = staged(made, kind, shape, "auto", WAY, number)
    home = Store(Path(tempfile.mkdtemp(dir=place))).enter(stage)
    return Setting.of(Attempt(stage, begin(home), home, {}, lambda event: None, threading.Event()))


def bare(made: Library, kind: str, shape: Shape, place: Path) -> Callable[[int], Measured]:
    """Nothing but the computation, of what `train.run` computes."""

    def run(number: int) -> Measured:
        setting = built(made, kind, shape, number, place)
        (entry,), trained, mixture = setting.entries, setting.trained, setting.mixture
        adamw = optimizer.build(trained.parameters(), setting.recipe)
        budget = setting.machine.budget
        cuts = [share.cuts(entry.form, entry.features, mixture.batch(s)[1], budget, ALONE) for s in range(21)]
        steps = [[setting.batch(entry, cut, step) for cut in cut_] for step, cut_ in enumerate(cuts)]
        for step, batches in enumerate(steps):
            torch.manual_seed(mixture.dropout_seed(step, 0))
            for batch in batches:
                hidden = trained.encoder(
                    batch.tokens, batch.starts, lengths=batch.lengths, firsts=entry.form.reads_firsts
                )
                loss, _ = entry.form.loss(trained.heads[entry.name], hidden, batch)
                (loss / WAY.batch).backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
            adamw.step()
            adamw.zero_grad(set_to_none=True)
            if step == 0:
                clock = Clock()
        read = clock.read(0)
        return measured(made, kind, WAY, number, read)

    return run


def saving(made: Library, kind: str, shape: Shape, place: Path) -> float:
    """Seconds of one resume state, moments and all."""
    setting = built(made, kind, shape, 0, place)
    trained = setting.trained
    adamw = optimizer.build(trained.parameters(), setting.recipe)
    for parameter in trained.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adamw.step()
    metrics = place / "metrics.jsonl"
    metrics.touch()
    began = time.perf_counter()
    checkpoint.save_state(place / "resume", trained, adamw, None, asdict(State()), metrics, ALONE)
    return time.perf_counter() - began


def start(made: Library, kind: str, shape: Shape, place: Path) -> float:
    """Seconds from a process's start to the end of its first step, less a step."""
    stage = staged(made, kind, shape, "auto", Way(steps=2), int(time.time()))
    folder = Store(place / "store").enter(stage)
    request = {"stage": str(folder.root), "place": stage.place, "numerics": stage.numerics}
    code = "from xstilts.work.run import do; import json, sys, threading; "
    code += "print(do(json.loads(sys.argv[1]), lambda event: None, threading.Event()))"
    began = time.time()
    subprocess.run([sys.executable, "-c", code, json.dumps(request)], check=True, stdout=subprocess.DEVNULL)
    (attempt,) = folder.attempts()
    seconds = json.loads((attempt / "record.json").read_bytes())["notes"]["train_seconds"]
    ended = (attempt / "metrics.jsonl").stat().st_mtime
    return ended - began - seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["nli", "pos"], default="nli")
    parser.add_argument("--model", choices=["small", "base"], default="small", help="6 x 384 or XLM-R base")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = {"small": SMALL, "base": BASE}[options.model]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = library(place / "library", options.kind, 6400, 40_000)

        def whole(number: int) -> Measured:
            attempt = attempted(made, options.kind, shape, "auto", place, WAY, number)
            return measured(made, options.kind, WAY, number, attempt.measured)

        found = contest(
            f"the loop, {options.kind}, {options.model}",
            "useful tokens",
            {"bare": bare(made, options.kind, shape, place), "xstilts": whole},
            options.rounds,
            ["bare"],
        )
        more = [b.cpu / a.cpu - 1 for a, b in zip(found["bare"], found["xstilts"], strict=True)]
        print(f"the loop over the bare one: {spread([100 * m for m in more])} %")
        saves = [saving(made, options.kind, shape, Path(tempfile.mkdtemp(dir=place))) for _ in range(3)]
        print(f"a state: {spread(saves)} s, {100 * statistics.median(saves) / EVERY:.2f} % of {EVERY:.0f} s")
        starts = [start(made, options.kind, shape, place) for _ in range(3)]
        print(f"from start to first step, without the step: {spread(starts)} s; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
