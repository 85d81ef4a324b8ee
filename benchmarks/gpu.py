"""Every figure that needs a GPU, in under ten minutes and without network: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py --only training,neighbours     # parts of it
    python benchmarks/gpu.py --dry                          # all of it on a CPU with a tiny model: does it run?

- training: base and large in bf16 on the recipe's random batches, beside Hugging Face's Trainer with dynamic padding
  and grouped by length, with 39,000 of 250,002 ids in the data; seconds from the start of a stage to its first step;
- use: steps of 256 pairs, about 9,000 tokens, at base, large and XL: model FLOP (6 a parameter in blocks and token) a
  second, as a share of what a plain bf16 matrix product of 8192 reaches in the same run; peak memory beside what
  `xstilts.memory` predicted before the training began, which leaves out context and allocator, and beside what torch's
  allocator took from the device for it;
- encoding: retrieval beside sentence-transformers in bf16, and a stand-in for XTREME's loop in fp32 (its default), from
  texts, and from what was tokenized before;
- neighbours: the seconds that mining pools of BUCC's size takes, and ranking a million candidates as Mewsli-X does.

What cannot be done is said and left out, and the rest goes on: a package that is not installed, a model that does not
fit, a part that fails (then this ends with 1). Tables are printed as benchmarks/RESULTS.md has them; they belong there
with the command and the line about the machine under each. One GPU is used, the first that is visible. Whether
everything works there, `pytest tests/cuda` sees in a minute or two: run it first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]  # else Trainer takes all
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # which torch reads once, at the first matrix product

import numpy as np
import torch
import transformers
from contest import Clock, Measured, contest, machine, plain, spread, table
from peers import trainer
from stages import Way, attempted, measured
from synthetic import BASE, LARGE, TRIED, XL, Shape, library, tokenizer

from xstilts.data.library import Library
from xstilts.errors import UserError, reason
from xstilts.formats import neighbours
from xstilts.scoring.ranking import unit_length

DISTINCT = 39_000
PARTS = ("training", "use", "encoding", "neighbours")


class Bench:
    """The parts, on one device."""

    def __init__(self, place: Path, dry: bool) -> None:
        self.place, self.dry = place, dry
        self.failed = False
        self.device, self.precision = ("cpu", "fp32") if dry else ("cuda", "bf16")
        self.items, distinct = (200, 500) if dry else (16_000, DISTINCT)
        self.made = library(place / "nli", "nli", self.items, distinct)

    def tried(self, what: str, do: Callable[[], None]) -> None:
        """Does it; what fails is said with its traceback, and the rest goes on."""
        clock = Clock()
        try:
            do()
        except Exception:
            self.failed = True
            print(f"\n{what} failed:\n{traceback.format_exc()}")
        print(f"{what}: {clock.read(0).wall:.0f} seconds\n", flush=True)

    def training(self) -> None:
        for name, shape in self._shapes.items():
            self.tried(f"training {name}", lambda name=name, shape=shape: self._training(name, shape))  # type: ignore[misc]

    def _contest(self, title: str, contestants: Mapping[str, Callable[[int], Measured]], against: list[str]) -> None:
        found = contest(title, "useful tokens", contestants, 2 if self.dry else 3, against, by="wall")
        self.failed |= len(found) < len(contestants)

    @property
    def _there(self) -> dict[str, str]:
        return {"device": self.device, "precision": self.precision}

    @property
    def _shapes(self) -> Mapping[str, Shape]:
        return {"tiny": TRIED["tiny"]} if self.dry else {"base": BASE, "large": LARGE}

    def _training(self, name: str, shape: Shape) -> None:
        way = Way(2 if self.dry else 50, 2 if self.dry else 32, **self._there, before=1 if self.dry else 10)
        firsts: list[float] = []
        contestants = {"xstilts": self._ours(shape, way, firsts)}
        if has("accelerate"):
            for padding in ("dynamic", "grouped"):
                contestants[padding] = trainer(self.made, "nli", shape, padding, self.place, way)
        title = f"training, NLI pairs, {name}, batches of {way.batch}, {self.precision}"
        self._contest(title, contestants, list(contestants)[1:])
        print(
            f"{name}: {spread(firsts, 1)} seconds from a stage's start to the end of its first step, without its model"
        )

    def _ours(self, shape: Shape, way: Way, firsts: list[float]) -> Callable[[int], Measured]:
        def run(number: int) -> Measured:
            attempt = attempted(self.made, "nli", shape, "auto", self.place, way, number)
            firsts.append(attempt.first)
            return measured(self.made, "nli", way, number, attempt.measured)

        return run

    def use(self) -> None:
        product = self._product()
        print(f"a plain matrix product: {product / 1e12:,.1f} TFLOP/s", flush=True)
        lines: list[list[str]] = []
        for name, shape in (TRIED if self.dry else {"base": BASE, "large": LARGE, "XL": XL}).items():
            self.tried(f"use {name}", lambda name=name, shape=shape: lines.append(self._use(name, shape, product)))  # type: ignore[misc]
        columns = ["tokens a second", "TFLOP/s", "of a matrix product's", "peak memory", "predicted", "taken by torch"]
        table("use of the device", columns, lines)
        print(f"\n{machine()}", flush=True)

    def _use(self, name: str, shape: Shape, product: float) -> list[str]:
        way = Way(2 if self.dry else 20, 8 if self.dry else 256, **self._there, before=1 if self.dry else 6)
        try:
            attempt = attempted(self.made, "nli", shape, "auto", self.place, way, 0)
        except UserError as error:
            return [name, "does not fit, by prediction", "", "", "", reason(error), ""]
        except torch.OutOfMemoryError as error:
            return [name, "does not fit", "", "", str(error).split(".")[0], "that it does", ""]
        rate = measured(self.made, "nli", way, 0, attempt.measured).rate("wall")
        flop = 6 * shape.blocks * rate
        predicted = attempt.notes["predicted_memory"]
        memory = [f"{count / 1e9:.2f} GB" for count in (attempt.peak, predicted, attempt.reserved)]
        memory[1] += f", {predicted / attempt.peak:.2f} of it"
        return [name, f"{rate:,.0f}", f"{flop / 1e12:.1f}", f"{flop / product:.0%}", *memory]

    def _product(self) -> float:
        """FLOP a second, the best of five rounds."""
        plain()
        size, times = (256, 2) if self.dry else (8192, 20)
        left = torch.randn(size, size, device=self.device, dtype=torch.float32 if self.dry else torch.bfloat16)
        rates = []
        for _ in range(5):
            clock = Clock()
            for _ in range(times):
                left @ left
            rates.append(clock.read(2 * size**3 * times).rate("wall"))
        return max(rates)

    def encoding(self) -> None:
        if not has("sentence_transformers"):
            return
        for name, shape in self._shapes.items():
            self.tried(f"encoding {name}", lambda name=name, shape=shape: self._encoding(name, shape))  # type: ignore[misc]

    def _encoding(self, name: str, shape: Shape) -> None:
        import evaluation

        items = 50 if self.dry else 8000
        made: Library = library(
            self.place / f"retrieval-{name}", "retrieval", items, min(8 * items, DISTINCT), ("en/test",)
        )
        folder = self.place / f"model-{name}"
        config = transformers.XLMRobertaConfig(**shape.config)
        with torch.device(self.device):
            transformers.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        there, depth, how = (made, folder, shape), round(shape.layers * 7 / 12), (self.device, self.precision)
        contestants = {
            "sentence-transformers": evaluation.theirs(made, folder, *how),
            "XTREME-like": evaluation.unsorted(made, folder, self.device),
            "xstilts": evaluation.ours(*there, None, *how),
            "xstilts, tokenized before": evaluation.ours(*there, None, *how, kept=True),
            f"xstilts, tokenized before, {depth} layers": evaluation.ours(*there, depth, *how, kept=True),
        }
        title = f"encoding, {2 * items} sentences, {name}"
        self._contest(title, contestants, list(contestants)[:2])

    def neighbours(self) -> None:
        """Of embeddings as wide as large's; random ones, whose neighbours are no easier or harder to find."""
        many, million, asking = (500, 1000, 100) if self.dry else (400_000, 1_000_000, 15_000)
        rng, width = np.random.default_rng(0), LARGE.config["hidden_size"]

        def drawn(count: int) -> np.ndarray:
            return unit_length(rng.standard_normal((count, width), dtype=np.float32))

        lines = []
        for title, queries, candidates, search in (
            ("mining", drawn(many), drawn(many), neighbours.mine),
            ("ranking", drawn(asking), drawn(million), partial(neighbours.top_k, k=20)),
        ):
            with torch.device(self.device):
                search(queries[:64], candidates[:64])
                clock = Clock()
                search(queries, candidates)
                lines.append([title, f"{len(queries):,} x {len(candidates):,}", f"{clock.read(0).wall:.1f}"])
        table(f"neighbours of {width} numbers", ["pools", "seconds"], lines)
        print(f"\n{machine()}", flush=True)


def has(package: str) -> bool:
    """Whether a package is there; that it is not is said."""
    found = find_spec(package) is not None
    if not found:
        print(f"left out: what needs {package}, which is not installed (pip install -e .[bench])")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument(
        "--dry", action="store_true", help="on a CPU, with a tiny model: no figure of it means anything"
    )
    options = parser.parse_args()
    if wrong := set(options.only.split(",")) - set(PARTS):
        parser.error(f"--only takes {', '.join(PARTS)}, not {', '.join(sorted(wrong))}")
    if not options.dry and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; --dry tries everything on a CPU")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.dry)
        for part in options.only.split(","):
            bench.tried(part, getattr(bench, part))
    sys.exit(int(bench.failed))


if __name__ == "__main__":
    main()
