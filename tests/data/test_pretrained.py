"""Pretrained models: a tokenizer that works, weights as one safetensors file, and no code from either."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, XLMRobertaTokenizer

from xstilts.data import hub, pretrained, stale
from xstilts.data.library import Library
from xstilts.errors import DataError, UserError
from xstilts.model import tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def model(**values: Any) -> dict[str, Any]:
    return {"name": "tiny", "random": False, "pretrain": None, "hub": {}, "config": {"vocab_size": 31}, **values}


def world(**values: Any) -> dict[str, Any]:
    return {"name": "files", "kind": "files", "tokenizer": None, "weights": None, **values}


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A tokenizer of 31 pieces: the English letters."""
    pieces = {piece: i for i, piece in enumerate([*SPECIAL, *map(chr, range(97, 123))])}
    inner = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 2)])
    names = {
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    folder = tmp_path / "letters"
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)
    (folder / "README.md").write_text("not a tokenizer's file")
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of models with one whose head shares its weights with the embeddings."""
    folder = tmp_path / "weights/tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    table = torch.arange(62.0).reshape(31, 2)
    tensors = {"roberta.embeddings.word_embeddings.weight": table, "lm_head.bias": torch.ones(31).half()}
    torch.save({**tensors, "lm_head.decoder.weight": table}, folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def test_random_models_need_a_tokenizer_only(letters: Path, library: Library) -> None:
    here = world(tokenizer=str(letters))
    assert stale.model(here, model(), library)
    pretrained.fill(here, model(), library)
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert (manifest["weights"], manifest["vocabulary"]) == (None, 31)
    assert sorted(p.name for p in library.model_folder("tiny").iterdir()) == [
        "manifest.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert not stale.model(here, model(), library)
    os.utime(letters / "tokenizer.json", ns=(1, 1))
    assert stale.model(here, model(), library)


def test_pickled_weights_are_converted_once(letters: Path, weights: Path, library: Library) -> None:
    here = world(tokenizer=str(letters), weights=str(weights.parent))
    pretrained.fill(here, model(), library)
    stored = load_file(library.model_folder("tiny") / "model.safetensors")
    assert {name: str(t.dtype) for name, t in stored.items()} == {
        "roberta.embeddings.word_embeddings.weight": "torch.float32",
        "lm_head.bias": "torch.float16",
    }, "tied weights are stored once"
    assert stored["roberta.embeddings.word_embeddings.weight"][30, 1] == 61
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert len(manifest["weights"]) == 64


def test_pieces_become_one_file(letters: Path, weights: Path, library: Library) -> None:
    (weights / "pytorch_model.bin").unlink()
    pieces = {"a.safetensors": {"x": torch.ones(2)}, "b.safetensors": {"y": torch.zeros(3)}}
    for name, tensors in pieces.items():
        save_file(tensors, weights / name)
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (weights / "model.safetensors.index.json").write_text(json.dumps(index))
    pretrained.fill(world(tokenizer=str(letters), weights=str(weights.parent)), model(), library)
    assert set(load_file(library.model_folder("tiny") / "model.safetensors")) == {"x", "y"}


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


def test_code_in_weights_is_not_run(
    letters: Path, weights: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights)
    torch.save({"x": Bomb()}, weights / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pytorch_model\.bin: cannot be read as weights without running code from it"):
        pretrained.fill(world(tokenizer=str(letters), weights=str(weights.parent)), model(), library)
    assert not (weights / "exploded").exists()
    assert library.model_manifest("tiny") is None


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_cut_weights_are_named(letters: Path, weights: Path, library: Library, name: str) -> None:
    (weights / name).write_bytes((weights / "pytorch_model.bin").read_bytes()[:100])
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        pretrained.fill(world(tokenizer=str(letters), weights=str(weights.parent)), model(), library)
    assert library.model_manifest("tiny") is None
    assert not list(library.root.glob("models/*")), "nothing half made is left"


def test_what_is_missing_is_said(letters: Path, weights: Path, library: Library) -> None:
    with pytest.raises(UserError, match=r"model=tiny has no tokenizer in world=files: world\.tokenizer=FOLDER"):
        pretrained.fill(world(), model(), library)
    with pytest.raises(UserError, match="nowhere has no tokenizer"):
        pretrained.fill(world(tokenizer=str(letters / "nowhere")), model(), library)
    (weights / "config.json").unlink()
    with pytest.raises(UserError, match=r"tiny has no config\.json; a model needs"):
        pretrained.fill(world(tokenizer=str(letters), weights=str(weights.parent)), model(), library)


def test_a_vocabulary_that_does_not_fit_is_named(letters: Path, library: Library) -> None:
    with pytest.raises(DataError, match="its tokenizer has 31 pieces, and model=tiny only 30 rows"):
        pretrained.fill(world(tokenizer=str(letters)), model(config={"vocab_size": 30}), library)


def test_a_tokenizer_that_knows_nothing_is_named(slices: Path, tmp_path: Path, library: Library) -> None:
    """transformers 5.23 makes one of five pieces of the right file by the wrong call, without a word."""
    broken = XLMRobertaTokenizer(vocab_file=str(slices / "tokenizer/sentencepiece.bpe.model"))
    assert len(broken) == 5
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(DataError, match="its tokenizer of 5 pieces knows not one word of an English sentence"):
        pretrained.fill(world(tokenizer=str(tmp_path / "broken")), model(), library)


def test_the_real_tokenizer(slices: Path, library: Library) -> None:
    here = world(tokenizer=str(slices / "tokenizer"))
    pretrained.fill(here, model(config={"vocab_size": 250002}), library)
    loaded = tokenizer.load(library.model_folder("tiny"))
    assert len(loaded) == 250002
    for text, ids in json.loads((slices / "tokenizer/reference_ids.json").read_text()).items():
        assert loaded(text)["input_ids"] == ids


def test_models_of_the_hub(letters: Path, weights: Path, tmp_path: Path, library: Library) -> None:
    mirror = tmp_path / "mirror"
    place = mirror / "someone/tiny"
    place.parent.mkdir(parents=True)
    letters.rename(place)
    for file in weights.iterdir():
        file.rename(place / file.name)
    here = {"name": "hub", "kind": "hub", "mirror": str(mirror)}
    one = model(hub={"id": "someone/tiny", "revision": "main"})
    hub.fill_model(here, one, library)
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert manifest["weights"]
    assert not stale.model(here, one, library)
    random = model(hub=one["hub"], random=True)
    assert stale.model(here, random, library)
    hub.fill_model(here, random, library)
    manifest = library.model_manifest("tiny")
    assert manifest is not None
    assert manifest["weights"] is None
    with pytest.raises(UserError, match=r"model=tiny is not on the hub: its YAML has no hub\.id"):
        hub.fill_model(here, model(), library)
