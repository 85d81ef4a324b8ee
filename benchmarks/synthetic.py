"""Data sets of invented words with the lengths of real ones, and a model to train on them.

Speed depends on lengths, on the size of the vocabulary and on how many of its ids occur, not on what the words are. So
every word is one id of a 250,002-word tokenizer, ids follow Zipf's law over as many distinct ids as is asked for, and
every one of those occurs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from xstilts import formats
from xstilts.data.library import Library
from xstilts.task import Task

VOCABULARY = 250_002
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TAGS = [f"T{i}" for i in range(17)]
NLI = Task("nli", "classification", labels=["a", "b", "c"], train="en/train", metric="accuracy")
POS = Task("pos", "tagging", labels=TAGS, train="en/train", metric="f1")
QA = Task("qa", "span", train="en/train", metric="f1")
RETRIEVAL = Task("retrieval", "nearest", metric="accuracy")
TASKS = {task.name: task for task in (NLI, POS, QA, RETRIEVAL)}
#: Mean of the logarithm of a length with special tokens, its spread, least and most.
LENGTHS = {
    "nli": (35.5, 0.5, 8, 128),
    "pos": (24.0, 0.55, 4, 128),
    "qa": (165.0, 0.42, 48, 384),
    "retrieval": (14.0, 0.45, 5, 128),
}
QUESTION = 12  # words


@dataclass(frozen=True)
class Shape:
    """A stock model without weights."""

    architecture: str  # of transformers
    config: dict[str, Any]

    @property
    def layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def blocks(self) -> int:
        """Parameters that every token is multiplied with: 4 d d of attention and 2 d f of the rest, a block."""
        d, f = self.config["hidden_size"], self.config["intermediate_size"]
        return self.layers * (4 * d * d + 2 * d * f)


def _shape(width: int, layers: int, heads: int, architecture: str = "xlm-roberta") -> Shape:
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "layer_norm_eps": 1e-5,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    return Shape(architecture, config)


#: A model between the toy ones and base: 10.6 million parameters in blocks, 96 million in embeddings.
SMALL = _shape(384, 6, 6)
BASE, LARGE, XL = _shape(768, 12, 12), _shape(1024, 24, 16), _shape(2560, 36, 32, "xlm-roberta-xl")
#: To see that a benchmark runs.
TRIED = {"tiny": _shape(32, 2, 2), "tiny XL": _shape(32, 2, 2, "xlm-roberta-xl")}


def tokenizer() -> PreTrainedTokenizerFast:
    words = [*SPECIAL, *(f"w{i}" for i in range(len(SPECIAL), VOCABULARY))]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", **names)


def library(root: Path, kind: str, items: int, distinct: int, parts: tuple[str, ...] = ("en/train",)) -> Library:
    """One data set of that kind, and a model folder `bench` with nothing but the tokenizer."""
    made = Library(root)
    rng = np.random.default_rng(0)
    for part in parts:
        made.write(TASKS[kind], part, _table(rng, kind, items, distinct))
    made.finish(TASKS[kind], {}, "bench", complete=True)
    with made.write_model("bench", {}, "bench", VOCABULARY) as folder:
        tokenizer().save_pretrained(folder)
    return made


def _table(rng: np.random.Generator, kind: str, items: int, distinct: int) -> pa.Table:
    mean, deviation, least, most = LENGTHS[kind]
    sizes = np.clip(np.exp(rng.normal(math.log(mean), deviation, items)).round(), least, most).astype(int) - 2
    known = rng.permutation(np.arange(len(SPECIAL), VOCABULARY))[:distinct]
    weight = 1 / (np.arange(distinct) + 2.7)
    words = known[np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(sizes.sum())).clip(max=distinct - 1)]
    if distinct > len(words):
        raise SystemExit(f"{items} items have {len(words)} words, not {distinct} distinct ones")
    words[rng.permutation(len(words))[:distinct]] = known
    rows = [[f"w{word}" for word in row] for row in np.split(words, np.cumsum(sizes)[:-1])]
    columns: dict[str, list[Any]] = {"id": [str(i) for i in range(items)]}
    if kind == "nli":  # of which </s></s> takes two
        cuts = [max(1, 6 * (len(row) - 2) // 10) for row in rows]
        columns |= {"text_a": [" ".join(row[:cut]) for row, cut in zip(rows, cuts, strict=True)]}
        columns |= {"text_b": [" ".join(row[cut:-2]) for row, cut in zip(rows, cuts, strict=True)]}
        columns |= {"label": [NLI.labels[i] for i in rng.integers(3, size=items)]}
    elif kind == "pos":
        columns |= {"tokens": rows, "tags": [[TAGS[i] for i in rng.integers(17, size=len(row))] for row in rows]}
    elif kind == "qa":  # of which <s>, </s></s> and </s> take four
        contexts = [row[QUESTION:-2] for row in rows]
        columns |= {"question": [" ".join(row[:QUESTION]) for row in rows]}
        columns |= {"context": [" ".join(context) for context in contexts]}
        columns |= {"answers": [[_answer(context, int(rng.integers(len(context))))] for context in contexts]}
    else:
        texts = [" ".join(row) for row in rows]
        columns |= {"source": texts, "target": texts[::-1]}
    schema = formats.get(TASKS[kind].format).columns
    return pa.table({name: columns[name] for name in schema.names}, schema)


def _answer(context: list[str], word: int) -> dict[str, Any]:
    """A word of the context."""
    return {"text": context[word], "start": len(" ".join([*context[:word], ""]))}
