"""Pretraining is an ordinary stage; what is shipped is what it trained, in half precision, head and all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from xstilts.data.library import Library
from xstilts.data.toy import models, pretrain
from xstilts.errors import UserError
from xstilts.formats.mlm import LanguageModelHead, MaskedLanguageModel
from xstilts.model.encoder import Encoder
from xstilts.task import load


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of the smallest model."""
    root = tmp_path_factory.mktemp("toy-models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "DOCUMENTS", {"train": 200, "selection": 20})
        pretrain.main(["base", "--steps", "2", "--store", str(root / "store"), "--out", str(root / "out")])
        pretrain.main(["base", "--steps", "2", "--store", str(root / "again"), "--out", str(root / "again/out")])
    return root


def test_the_same_weights_bit_for_bit(trained: Path) -> None:
    assert (trained / "out/base.safetensors").read_bytes() == (trained / "again/out/base.safetensors").read_bytes()


def test_what_is_shipped_fills_a_model_and_its_head(trained: Path) -> None:
    encoder = Encoder("xlm-roberta", models.config("base"))
    fresh = encoder.embeddings.weight.detach().clone()
    path = trained / "out/base.safetensors"
    encoder.load(path)
    encoder.load_rest(path)
    assert not torch.equal(fresh, encoder.embeddings.weight)
    head = MaskedLanguageModel().head(load("toy_pretrain"), encoder)
    assert isinstance(head, LanguageModelHead)
    assert torch.equal(head.dense.weight.half(), encoder.left["lm_head.dense.weight"])


def test_weights_go_into_the_library(trained: Path, tmp_path: Path) -> None:
    weights, library = str(trained / "out"), Library(tmp_path)
    assert models.settings("base", weights)["pretrain"] is None
    models.model("base", {"name": "toy", "weights": weights}, library)
    made = library.model_folder("base") / "model.safetensors"
    assert made.read_bytes() == (trained / "out/base.safetensors").read_bytes()
    assert library.model_manifest("base")["weights"]  # type: ignore[index]


def test_without_weights_a_model_is_pretrained_first(tmp_path: Path) -> None:
    assert models.settings("large", None)["pretrain"] == [models.PRETRAIN]
    library = Library(tmp_path)
    models.model("large", {"name": "toy", "weights": None}, library)
    assert library.model_manifest("large")["weights"] is None  # type: ignore[index]


def test_a_folder_without_a_model_is_named(trained: Path) -> None:
    with pytest.raises(UserError, match=r"no large\.safetensors for model=large"):
        models.settings("large", str(trained / "out"))


@pytest.mark.parametrize("name", list(models.SHAPES))
def test_shipped_weights_are_those_of_the_shape(name: str) -> None:
    assert models.settings(name)["pretrain"] is None
    encoder = Encoder("xlm-roberta", models.config(name))
    encoder.load(models.WEIGHTS / f"{name}.safetensors")
    encoder.load_rest(models.WEIGHTS / f"{name}.safetensors")
    assert encoder.left


def test_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in models.WEIGHTS.glob("*.safetensors")) < 15e6
