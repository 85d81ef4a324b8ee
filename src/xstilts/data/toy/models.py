"""The toy models: XLM-R in three sizes that grow as base, large and XL do, pretrained on the toy languages.

Weights are shipped in the package, half precision; a size without a file starts from random ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.toy.languages import seen
from xstilts.data.toy.tokens import VOCABULARY, tokenizer
from xstilts.errors import UserError, choices
from xstilts.files import write_json

if TYPE_CHECKING:
    from xstilts.data.library import Library

WEIGHTS = Path(__file__).parent / "weights"
#: width, layers, heads
SHAPES = {"base": (64, 3, 4), "large": (128, 4, 4), "xl": (160, 5, 5)}


def config(name: str) -> dict[str, Any]:
    """The settings of a size, as `transformers.XLMRobertaConfig` takes them."""
    if name not in SHAPES:
        raise UserError(f"the toy world has no model {name!r}; {choices(name, SHAPES)}")
    width, layers, heads = SHAPES[name]
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 258,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }


def model(name: str, world: dict[str, Any], library: Library) -> None:
    """Put a model into the library: its tokenizer, and its weights where they are shipped."""
    shape = config(name)
    shipped = WEIGHTS / f"{name}.safetensors"
    with library.write_model(name, source={"shape": list(SHAPES[name])}, world="toy", vocabulary=VOCABULARY) as folder:
        tokenizer(folder)
        if shipped.is_file():
            shutil.copyfile(shipped, folder / "model.safetensors")
            write_json(folder / "config.json", {"model_type": "xlm-roberta", **shape})


def settings(name: str) -> dict[str, Any]:
    """What the toy world replaces in `conf/model/NAME.yaml`."""
    shape = config(name)
    width, layers = shape["hidden_size"], shape["num_hidden_layers"]
    # Tables of words, positions and the one segment with their norm; four projections, two feed-forwards, two norms.
    tables = (VOCABULARY + shape["max_position_embeddings"] + 1 + 2) * width
    block = 4 * (width * width + width) + (8 * width * width + 5 * width) + 4 * width
    return {
        "about": "a toy XLM-R of the synthetic world",
        "architecture": "xlm-roberta",
        "config": shape,
        "parameters": tables + layers * block,
        "random": not (WEIGHTS / f"{name}.safetensors").is_file(),
        "retrieval_layer": max(1, round(14 / 24 * layers)),
        "seen": {code: size for code, size in seen().items() if size},
    }
