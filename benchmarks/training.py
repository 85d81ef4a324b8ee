"""Training beside what people use: `python benchmarks/training.py [--kind pos] [--distinct 20000]`.

Contestants train the same stock architecture, from the same random weights, on the same data set with the same batch
size, learning rate schedule, clipping and AdamW, in fp32 or under bf16 autocast (--precision bf16):

- scripts: a stand-in for XTREME's and jiant's loops (`peers.scripted` says in what);
- max length, dynamic, grouped: Hugging Face's Trainer with every batch padded to max_length, as run_xnli.py and
  run_qa.py do by default; to its longest item; and likewise over batches of its own length-grouped sampler, which
  changes which examples meet in a step;
- xstilts: the stage process's own loop (`xstilts.work.train`), on random batches; `(whole table)` is the same with
  numerics.embeddings=whole, `(bucketed)` on batches of similar length (recipe.common.bucket=50, another training).

The others get features that are tokenized already. A round is four measured steps after one that is not, of batches
that are drawn anew every round: random ones for all but `grouped`, which gets its batches from everywhere in a
mega-batch of its sampler. Question answering has batches of 16 and 384 tokens at most, the others of 32 and 128.
Install with `pip install -e .[bench]`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from contest import contest
from peers import scripted, trainer
from stages import Way, ours
from synthetic import BASE, SMALL, VOCABULARY, library

PADDINGS = ("max length", "dynamic", "grouped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["nli", "pos", "qa"], default="nli")
    parser.add_argument("--distinct", type=int, default=40_000, help="ids that occur, of 250,002 (default 40000)")
    parser.add_argument("--model", choices=["small", "base"], default="small", help="6 x 384 or XLM-R base")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16 wants a CPU with AMX")
    parser.add_argument("--items", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="contestants, comma-separated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape, way = (
        {"small": SMALL, "base": BASE}[options.model],
        replace(Way.of(options.kind), precision=options.precision),
    )
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = library(place / "library", options.kind, options.items, options.distinct)
        contestants = {
            "scripts": scripted(made, options.kind, shape, way),
            **{
                how: trainer(made, options.kind, shape, how, place, way) for how in ("max length", "dynamic", "grouped")
            },
            "xstilts (whole table)": ours(made, options.kind, shape, "whole", place, way),
            "xstilts": ours(made, options.kind, shape, "auto", place, way),
            "xstilts (bucketed)": ours(made, options.kind, shape, "auto", place, replace(way, bucket=50)),
        }
        if options.only:
            contestants = {name: contestants[name] for name in options.only.split(",")}
        what = f"{options.kind}, {options.model}, {options.precision}"
        title = f"training, {what}, {options.distinct:,} of {VOCABULARY:,} ids"
        against = [name for name in ("scripts", "max length", "grouped") if name in contestants]
        contest(title, "useful tokens", contestants, options.rounds, against or list(contestants)[:1])


if __name__ == "__main__":
    main()
