"""Encoding sentences for retrieval: `python benchmarks/evaluation.py`. From texts to embeddings, on a CPU in fp32.

- sentence-transformers: `encode`, which sorts by length, batches of 32, mean pooling of the last layer;
- XTREME-like: a stand-in for the loop of its retrieval scripts (batches of 100 in the order of the file, padded to the
  longest, the hidden states of all layers), written from their description and not their code;
- xstilts: what an evaluation stage does (`xstilts.work.inference`), both embeddings it records, at full depth and at
  the depth that is read for Tatoeba and BUCC (7 of 12 layers: 4 of 6 here).

All have the same stock XLM-R with the same random weights. Install with `pip install -e .[bench]`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
import transformers
from contest import Clock, Measured, contest, plain
from sentence_transformers import SentenceTransformer
from synthetic import BASE, RETRIEVAL, SMALL, Shape, library, tokenizer

from xstilts import formats
from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.formats.base import Limits, Part
from xstilts.model.encoder import Encoder
from xstilts.work.inference import infer
from xstilts.work.machine import Machine

MAX_LENGTH = 512
Contestant = Callable[[int], Measured]


def texts(made: Library) -> list[str]:
    table = made.read("retrieval", "en/test")
    return [text for name in ("source", "target") for text in table[name].to_pylist()]


def words(made: Library) -> int:
    """Useful tokens: a word is one, and every text has two special ones."""
    return sum(len(text.split()) + 2 for text in texts(made))


def theirs(made: Library, folder: Path, device: str = "cpu", precision: str = "fp32") -> Contestant:
    options = {"dtype": torch.bfloat16} if precision == "bf16" else {}
    model = SentenceTransformer(
        str(folder), device=device, model_kwargs=options
    )  # with mean pooling, as of any plain encoder
    model.max_seq_length = MAX_LENGTH

    def run(number: int) -> Measured:
        plain()
        clock = Clock()
        model.encode(texts(made), batch_size=32, show_progress_bar=False)
        return clock.read(words(made))

    return run


def unsorted(made: Library, folder: Path, device: str = "cpu") -> Contestant:
    """In fp32 everywhere, as those scripts are by default."""
    model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval().to(device)
    words_of = tokenizer()

    def run(number: int) -> Measured:
        plain()
        clock = Clock()
        sentences = texts(made)
        with torch.inference_mode():
            for first in range(0, len(sentences), 100):
                batch = words_of(sentences[first : first + 100], padding=True, return_tensors="pt").to(device)
                states = model(batch["input_ids"], batch["attention_mask"], output_hidden_states=True).hidden_states
                mask = batch["attention_mask"][..., None]
                np.stack([((layer * mask).sum(1) / mask.sum(1)).cpu().numpy() for layer in states])
        return clock.read(words(made))

    return run


def ours(
    made: Library,
    folder: Path,
    shape: Shape,
    layers: int | None,
    device: str = "cpu",
    precision: str = "fp32",
    kept: bool = False,
) -> Contestant:
    """With `kept`, of features that the library has already, as it has for a tokenizer's second model or evaluation."""
    encoder = Encoder(shape.architecture, shape.config, empty=True)
    encoder.load(folder / "model.safetensors")
    numerics = {"device": device, "threads": 1 if device == "cpu" else None, "micro_tokens": None}
    words_of, form = tokenizer(), formats.get("nearest")
    encoder.to(device)

    def tokenized() -> dict[Part, Features]:
        table = made.read("retrieval", "en/test")
        return {("en", "test"): form.features(table, RETRIEVAL, words_of, Limits(MAX_LENGTH))}

    known = tokenized() if kept else None

    def run(number: int) -> Measured:
        machine = Machine.of(numerics, precision)
        clock = Clock()
        features = tokenized() if known is None else known
        infer(form, encoder, None, features, machine, words_of, layers)
        return clock.read(words(made))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["small", "base"], default="small", help="6 x 384 or XLM-R base")
    parser.add_argument("--items", type=int, default=400, help="pairs of sentences")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = {"small": SMALL, "base": BASE}[options.model]
    with tempfile.TemporaryDirectory() as name:
        made = library(Path(name) / "library", "retrieval", options.items, 8 * options.items, ("en/test",))
        folder = Path(name) / "model"
        config = transformers.XLMRobertaConfig(**shape.config)
        transformers.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        depth = round(shape.layers * 7 / 12)
        contestants = {
            "sentence-transformers": theirs(made, folder),
            "XTREME-like": unsorted(made, folder),
            "xstilts": ours(made, folder, shape, None),
            f"xstilts, {depth} layers": ours(made, folder, shape, depth),
        }
        title = f"encoding, {2 * options.items} sentences, {options.model}"
        contest(title, "useful tokens", contestants, options.rounds, ["sentence-transformers", "XTREME-like"])


if __name__ == "__main__":
    main()
