"""A library, a model and stages small enough to train in a test: sixty sub-words, two layers, seconds at most."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from xstilts import formats
from xstilts.data.library import Library
from xstilts.stage import Stage
from xstilts.store import Folder, Store, begin
from xstilts.task import Task
from xstilts.work.attempt import Attempt

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
WORDS = [f"w{i}" for i in range(55)]
VOCABULARY = len(SPECIAL) + len(WORDS)
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 34,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
CONFIG = {**SHAPE, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
RECIPE = {
    "lr": 3e-3,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "clip": 1.0,
    "batch_size": 8,
    "epochs": None,
    "steps": 12,
    "max_length": 24,
    "stride": 4,
    "max_query_length": 8,
    "dropout": None,
    "precision": "fp32",
    "checkpoint": "last",
    "eval_every": 4,
    "selection_items": None,
    "patience": None,
    "sampler": "proportional",
    "temperature": 1.0,
    "cap": None,
}
NUMERICS = {
    "device": "cpu",
    "threads": 1,
    "micro_tokens": 64,
    "embeddings": "auto",
    "shard": False,
    "save_every": 1e9,
}

TOPIC = Task("topic", "classification", labels=["even", "odd"], train="en/train", metric="accuracy")
TEXT = Task("text", "mlm", train="en/train", metric="accuracy")
TWINS = Task("twins", "nearest", metric="accuracy")
QUESTIONS = Task("questions", "dual_encoder", metric="map20")
PARITY = Task("parity", "tagging", labels=["even", "odd"], metric="accuracy")


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", **names
    )


def library(root: Path) -> Library:
    """All tasks of this module, in English and Swahili, and the model `tiny`, which has no weights."""
    made = Library(root)
    rng = np.random.default_rng(0)
    for name, rows in {"en/train": 48, "en/selection": 20, "en/dev": 10, "en/test": 14, "sw/test": 9}.items():
        made.write(TOPIC, name, _topics(rng, rows))
    for name, rows in {"en/train": 30, "en/selection": 8}.items():
        made.write(TEXT, name, _table("mlm", id=_ids(rows), text=_texts(rng, rows)))
    for name in ("en/test", "sw/test"):
        made.write(TWINS, name, _table("nearest", id=_ids(11), source=_texts(rng, 11), target=_texts(rng, 11)))
    for name, rows in {"en/train": 24, "en/selection": 12}.items():
        texts = {"query": _texts(rng, rows), "candidate": _texts(rng, rows)}
        ids = {"id": _ids(rows), "kind": ["pair"] * rows, "positives": [[f"c{i}"] for i in range(rows)]}
        made.write(QUESTIONS, name, _table("dual_encoder", **ids, **texts))
    for name, rows in {"en/train": 30, "en/selection": 10}.items():
        words = [text.split() for text in _texts(rng, rows)]
        tags = [[PARITY.labels[int(word[1:]) % 2] for word in row] for row in words]
        made.write(PARITY, name, _table("tagging", id=_ids(rows), tokens=words, tags=tags))
    for task in (TOPIC, TEXT, TWINS, QUESTIONS, PARITY):
        made.finish(task, {}, "test", complete=True)
    with made.write_model("tiny", {}, "test") as folder:
        tokenizer().save_pretrained(folder)
    return made


def _topics(rng: np.random.Generator, rows: int) -> pa.Table:
    """The label is whether the first word's number is odd: learnt by a lookup, in a few hundred steps."""
    texts = _texts(rng, rows)
    labels = [TOPIC.labels[int(text.split()[0][1:]) % 2] for text in texts]
    return _table("classification", id=_ids(rows), text_a=texts, text_b=[None] * rows, label=labels)


def _texts(rng: np.random.Generator, rows: int) -> list[str]:
    return [" ".join(rng.choice(WORDS, size=rng.integers(2, 18))) for _ in range(rows)]


def _ids(rows: int) -> list[str]:
    return [f"i{row}" for row in range(rows)]


def _table(form: str, **columns: list[Any]) -> pa.Table:
    schema = formats.get(form).columns
    return pa.table({name: columns[name] for name in schema.names}, schema)


def model(made: Library, name: str = "tiny", **config: Any) -> dict[str, Any]:
    manifest = made.model_manifest(name)
    assert manifest is not None
    return {
        "architecture": "xlm-roberta",
        "config": {**CONFIG, **config},
        "weights": manifest["weights"],
        "tokenizer": manifest["tokenizer"],
    }


def source(made: Library, task: Task, part: str) -> dict[str, Any]:
    manifest = made.manifest(task.name)
    assert manifest is not None
    known = manifest["files"][part]
    return {"task": task.name, "part": part, "rows": known["rows"], "sha256": known["sha256"]}


def entry(made: Library, task: Task, selection: bool = True, rate: float | None = None) -> dict[str, Any]:
    return {
        "name": task.name,
        "task": task.identity(),
        "train": [source(made, task, "en/train")],
        "selection": source(made, task, "en/selection") if selection else None,
        "rate": rate,
    }


def train_stage(
    made: Library,
    mixture: list[dict[str, Any]] | None = None,
    seed: int = 0,
    upstream: dict[str, str] | None = None,
    numerics: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    **recipe: Any,
) -> Stage:
    spec = {
        "model": model(made, **(config or {})),
        "mixture": [entry(made, TOPIC)] if mixture is None else mixture,
        "recipe": {**RECIPE, **recipe},
        "seed": seed,
    }
    place = {"library": str(made.root), "model": "tiny"}
    return Stage("train", spec, upstream or {}, {}, place, {**NUMERICS, **(numerics or {})})


def evaluate_stage(
    made: Library,
    task: Task,
    parts: list[str],
    head: str | None = None,
    layer: int | None = None,
    upstream: dict[str, str] | None = None,
    numerics: dict[str, Any] | None = None,
) -> Stage:
    spec = {
        "model": model(made),
        "task": task.identity(),
        "head": head,
        "layer": layer,
        "parts": {part: {k: source(made, task, part)[k] for k in ("rows", "sha256")} for part in parts},
        "limits": {k: RECIPE[k] for k in ("max_length", "stride", "max_query_length")},
        "precision": "fp32",
    }
    place = {"library": str(made.root), "model": "tiny"}
    return Stage("evaluate", spec, upstream or {}, {}, place, {**NUMERICS, **(numerics or {})})


class Countdown(threading.Event):
    """Asks to stop after it was asked so many times."""

    def __init__(self, asked: int) -> None:
        super().__init__()
        self.left = asked

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def attempt(
    store: Path, stage: Stage, stop: threading.Event | None = None, sources: dict[str, Path] | None = None
) -> Attempt:
    """The next attempt of a stage in a store."""
    home: Folder = Store(store).enter(stage)
    return Attempt(stage, begin(home), home, sources or {}, lambda event: None, stop or threading.Event())
