"""The toy models: XLM-R in three sizes that grow as base, large and XL do, pretrained on the toy languages.

Weights are shipped in the package, half precision; `world.weights` names a folder of others, and `world.weights=null`
pretrains each model first, as stages of the sweep. Imports nothing heavy: planning asks for a model's settings.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.toy.languages import seen
from xstilts.data.toy.tokens import VOCABULARY, tokenizer
from xstilts.errors import UserError, choices
from xstilts.files import write_json

if TYPE_CHECKING:
    from xstilts.data.library import Library

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = "shipped"  # world.weights, for those of this package
#: width, layers, heads
SHAPES = {"base": (64, 3, 4), "large": (128, 4, 4), "xl": (160, 5, 5)}
PRETRAIN = {"name": "toy_pretrain", "tasks": ["toy_pretrain"]}  # the mixture of one entry that a model starts with


def settings(name: str, weights: str | None = SHIPPED) -> dict[str, Any]:
    """What the toy world says of a model, in the keys of `conf/model`. `weights` is `world.weights`."""
    shape, random = config(name), _file(name, weights) is None
    return {
        "about": f"toy XLM-R in the place of {name}, synthetic",
        "architecture": "xlm-roberta",
        "parameters": parameters(name),
        "config": shape,
        "hub": {},
        "random": random,
        "pretrain": [PRETRAIN] if random else None,
        "retrieval_layer": round(14 / 24 * shape["num_hidden_layers"]),
        "seen": seen(),
        "licence": "Apache-2.0",
        "citation": "",
    }


def _file(name: str, weights: str | None) -> Path | None:
    """The weights of a model; None where it is pretrained first. Raises `UserError` when a folder has none."""
    if weights is None:
        return None
    file = (WEIGHTS if weights == SHIPPED else Path(weights)) / f"{name}.safetensors"
    if not file.is_file():
        raise UserError(
            f"world.weights={weights}: there is no {file.name} for model={name}; "
            "world.weights=null pretrains it first, and `make toy-models` does that for all sizes once"
        )
    return file


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
        "initializer_range": 0.06,  # 0.02 suits a width of 768; here it costs a fifth of the pretraining
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }


def parameters(name: str) -> int:
    """Weights of the encoder, embeddings included."""
    shape = config(name)
    width, rows = shape["hidden_size"], VOCABULARY + shape["max_position_embeddings"] + 1
    block = 4 * (width * width + width) + 2 * 4 * width * width + 5 * width + 2 * 2 * width
    return rows * width + 2 * width + shape["num_hidden_layers"] * block


def model(name: str, world: Mapping[str, Any], library: Library) -> None:
    """Put a model into the library: its tokenizer and, unless `world.weights` is null, its weights."""
    file = _file(name, world.get("weights"))
    with library.write_model(name, source(name, world), world["name"], VOCABULARY) as folder:
        tokenizer(folder)
        if file:
            shutil.copyfile(file, folder / "model.safetensors")
            write_json(folder / "config.json", {"model_type": "xlm-roberta", **config(name)})


def source(name: str, world: Mapping[str, Any]) -> dict[str, Any]:
    """What a model in the library is made from: its shape, the code of this package, and its weights."""
    from xstilts.data.digest import file_digest
    from xstilts.data.toy import code

    file = _file(name, world.get("weights"))
    return {"shape": list(SHAPES[name]), "weights": file_digest(file) if file else None, "code": code()}
