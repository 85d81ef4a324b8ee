"""Pretrained models on their way into the library: one safetensors file, a configuration, and a tokenizer that works.

Weights of other kinds are converted once, here, by a reader that runs no code from them; stages read safetensors only.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.files import stamp
from xstilts.errors import DataError, UserError
from xstilts.files import read_json

if TYPE_CHECKING:
    import torch

    from xstilts.data.library import Library

CONFIG, WEIGHTS = "config.json", "model.safetensors"
#: In the order of preference: whole or in pieces, safetensors or pickled.
KINDS = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
TOKENIZER = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
PROBE = "What the tokenizer of an encoder must know at the least."


def source(world: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a model of world `files` is filled from: the files of its tokenizer and its weights, by size and time."""
    weights = _weights(world, name)
    places = {"tokenizer": _tokenizer(world, weights), "weights": weights}
    found: dict[str, Any] = {}
    for role, place in places.items():
        names = TOKENIZER if role == "tokenizer" else (CONFIG, *KINDS)
        paths = [place / file for file in names] if place else []
        found[role] = {path.name: stamp(path) for path in paths if path.is_file()}
    return found


def fill(world: Mapping[str, Any], model: Mapping[str, Any], library: Library) -> None:
    """A model of world `files`: its weights from `world.weights/NAME`, if given; its tokenizer from there, or from
    `world.tokenizer`."""
    name, weights = model["name"], _weights(world, model["name"])
    tokens = _tokenizer(world, weights)
    if tokens is None:
        raise UserError(
            f"model={name} has no tokenizer in world={world['name']}: world.tokenizer=FOLDER names a folder with one, "
            "such as sentencepiece.bpe.model or tokenizer.json"
        )
    with library.write_model(name, source(world, name), world["name"]) as place:
        take_tokenizer(tokens, place, model)
        if weights is not None:
            take_weights(weights, place)


def take_tokenizer(folder: Path, place: Path, model: Mapping[str, Any]) -> None:
    """Try a tokenizer, and copy its files. Raises `DataError` when it knows nothing, or more than the model."""
    from xstilts.model import tokenizer

    loaded = tokenizer.load(folder)
    ids = loaded(PROBE, add_special_tokens=False)["input_ids"]
    if not ids or all(i in loaded.all_special_ids for i in ids):
        raise DataError(folder, f"its tokenizer of {len(loaded)} pieces knows not one word of an English sentence")
    rows = model["config"].get("vocab_size")
    if rows is not None and len(loaded) > rows:
        raise DataError(folder, f"its tokenizer has {len(loaded)} pieces, and model={model['name']} only {rows} rows")
    for name in TOKENIZER:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, place / name)


def take_weights(folder: Path, place: Path) -> None:
    """Copy or convert a model's configuration and weights into `place`."""
    from xstilts.model.weights import opened

    kind = next((kind for kind in KINDS if (folder / kind).is_file()), None)
    if kind is None or not (folder / CONFIG).is_file():
        what = CONFIG if kind else "weights"
        raise UserError(f"{folder} has no {what}; a model needs {CONFIG} and one of {', '.join(KINDS)}")
    shutil.copyfile(folder / CONFIG, place / CONFIG)
    if kind == WEIGHTS:
        shutil.copyfile(folder / kind, place / WEIGHTS)
        with opened(place / WEIGHTS):
            return
    from safetensors.torch import save_file

    pieces = sorted(set(read_json(folder / kind)["weight_map"].values())) if kind.endswith(".json") else [kind]
    save_file(dict(_once(folder / piece for piece in pieces)), place / WEIGHTS, metadata={"format": "pt"})


def _once(paths: Iterator[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of the files; of tensors that share their memory (tied weights) the first."""
    import torch

    from xstilts.model import weights

    seen: set[tuple[int, tuple[int, ...]]] = set()
    for path in paths:
        if path.suffix == ".safetensors":
            yield from weights.read(path).items()
            continue
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # torch raises its own, pickle's and zip's
            reason = str(error).splitlines()[0]
            raise DataError(path, f"cannot be read as weights without running code from it ({reason})") from None
        for name, tensor in content.items():
            key = (tensor.data_ptr(), tuple(tensor.shape))
            if key not in seen:
                seen.add(key)
                yield name, tensor.contiguous()


def _weights(world: Mapping[str, Any], name: str) -> Path | None:
    folder = Path(world["weights"]) / name if world.get("weights") else None
    return folder if folder and folder.is_dir() else None


def _tokenizer(world: Mapping[str, Any], weights: Path | None) -> Path | None:
    """Where the tokenizer lies: with the weights, or in the world's own folder."""
    if weights and any((weights / name).is_file() for name in TOKENIZER):
        return weights
    return Path(world["tokenizer"]) if world.get("tokenizer") else None
