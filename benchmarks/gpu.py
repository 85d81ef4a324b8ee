"""Every figure that needs a GPU, in under ten minutes and without network: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py --only training,use,encoding     # parts of it
    python benchmarks/gpu.py --dry                            # all of it on a CPU with a tiny model: does it run?

- training: base and large in bf16 on the recipe's random batches, beside Hugging Face's Trainer with dynamic padding
  and grouped by length, with 39,000 of 250,002 ids in the data; seconds from the start of a stage to its first step;
- use: steps of 256 pairs, about 9,000 tokens, at base, large and XL: model FLOP (6 a parameter in blocks and token) a
  second, as a share of what a plain bf16 matrix product of 8192 reaches in the same run; peak memory beside what
  `xstilts.memory` predicted before the training began, which leaves out context and allocator;
- encoding: retrieval beside sentence-transformers in bf16, and a stand-in for XTREME's loop in fp32 (its default).

What cannot be done is said and left out: a package that is not installed, a model that does not fit. Results belong in
benchmarks/RESULTS.md with the command, the date and the line about the machine that every table ends with.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import training
import transformers
from contest import Clock, contest, spread
from rich.console import Console
from rich.table import Table
from synthetic import BASE, LARGE, TRIED, XL, Shape, library, tokenizer
from training import Way

from xstilts.data.library import Library
from xstilts.errors import UserError, reason

DISTINCT = 39_000
PARTS = ("training", "use", "encoding")


class Bench:
    """The parts, on one device."""

    def __init__(self, place: Path, dry: bool) -> None:
        self.place, self.dry = place, dry
        self.device, self.precision = ("cpu", "fp32") if dry else ("cuda", "bf16")
        self.items, distinct = (200, 500) if dry else (16_000, DISTINCT)
        self.made = library(place / "nli", "nli", self.items, distinct)

    def training(self) -> None:
        for name, shape in ({"tiny": TRIED["tiny"]} if self.dry else {"base": BASE, "large": LARGE}).items():
            way = Way(2 if self.dry else 20, 2 if self.dry else 32, self.device, self.precision)
            firsts: list[float] = []
            contestants = {"xstilts": self._ours(shape, way, firsts)}
            if has("accelerate"):
                for padding in ("dynamic", "grouped"):
                    contestants[padding] = training.theirs(self.made, "nli", shape, padding, self.place, way)
            contest(
                f"training, NLI pairs, {name}, batches of {way.batch}, {self.precision}",
                "useful tokens",
                contestants,
                2 if self.dry else 5,
                list(contestants)[1:],
                by="wall",
            )
            print(f"{name}: {spread(firsts, 1)} seconds from the start of a stage to the end of its first step")

    def _ours(self, shape: Shape, way: Way, firsts: list[float]) -> Callable[[int], training.Measured]:
        def run(number: int) -> training.Measured:
            attempt = training.attempted(self.made, "nli", shape, "auto", self.place, way, number)
            firsts.append(attempt.first)
            return training.measured(self.made, "nli", way, number, attempt.measured)

        return run

    def use(self) -> None:
        product = self._product()
        table = Table(
            *("", "tokens a second", "TFLOP/s", "of a matrix product's", "peak memory", "predicted"),
            title="use of the device",
        )
        for name, shape in (TRIED if self.dry else {"base": BASE, "large": LARGE, "XL": XL}).items():
            way = Way(2 if self.dry else 12, 8 if self.dry else 256, self.device, self.precision)
            try:
                attempt = training.attempted(self.made, "nli", shape, "auto", self.place, way, 0)
            except UserError as error:
                table.add_row(name, "does not fit, by prediction", "", "", "", reason(error))
                continue
            except torch.OutOfMemoryError as error:
                table.add_row(name, "does not fit", "", "", str(error).split(".")[0], "that it does")
                continue
            rate = training.measured(self.made, "nli", way, 0, attempt.measured).rate("wall")
            flop = 6 * shape.blocks * rate
            peak, predicted = attempt.notes["peak_memory"], attempt.notes["predicted_memory"]
            memory = f"{peak / 1e9:.2f} GB", f"{predicted / 1e9:.2f} GB, {predicted / peak:.2f} of it"
            table.add_row(name, f"{rate:,.0f}", f"{flop / 1e12:.1f}", f"{flop / product:.0%}", *memory)
        Console(width=140).print(table)
        print(f"a plain matrix product: {product / 1e12:,.1f} TFLOP/s")

    def _product(self) -> float:
        """FLOP a second, the best of five rounds."""
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
        import evaluation

        for name, shape in ({"tiny": TRIED["tiny"]} if self.dry else {"base": BASE, "large": LARGE}).items():
            items = 50 if self.dry else 4000
            made: Library = library(
                self.place / f"retrieval-{name}", "retrieval", items, min(8 * items, DISTINCT), ("en/test",)
            )
            folder = self.place / f"model-{name}"
            config = transformers.XLMRobertaConfig(**shape.config)
            transformers.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
            tokenizer().save_pretrained(folder)
            there = (made, folder, shape)
            depth = round(shape.layers * 7 / 12)
            contestants = {
                "sentence-transformers": evaluation.theirs(made, folder, self.device, self.precision),
                "XTREME-like": evaluation.unsorted(made, folder, self.device),
                "xstilts": evaluation.ours(*there, None, self.device, self.precision),
                f"xstilts, {depth} layers": evaluation.ours(*there, depth, self.device, self.precision),
            }
            title = f"encoding, {2 * items} sentences, {name}"
            rounds, against = 2 if self.dry else 3, ["sentence-transformers", "XTREME-like"]
            contest(title, "useful tokens", contestants, rounds, against, by="wall")


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
            clock = Clock()
            getattr(bench, part)()
            print(f"{part}: {clock.read(0).wall:.0f} seconds\n", flush=True)


if __name__ == "__main__":
    main()
