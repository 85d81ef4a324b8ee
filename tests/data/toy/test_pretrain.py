"""Pretraining is an ordinary stage; what is shipped is what it trained, in half precision, head and all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from xstilts.data.library import Library
from xstilts.data.toy import models, pretrain
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


def test_shipped_weights_go_into_the_library(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models.settings("large")["pretrain"] or (models.WEIGHTS / "large.safetensors").exists()
    monkeypatch.setattr(models, "WEIGHTS", trained / "out")
    assert models.settings("base")["pretrain"] is None
    assert models.settings("large")["pretrain"] == [models.PRETRAIN]
    library = Library(tmp_path)
    for name in ("base", "large"):
        models.model(name, {"name": "toy"}, library)
    made = library.model_folder("base") / "model.safetensors"
    assert made.read_bytes() == (trained / "out/base.safetensors").read_bytes()
    manifests = {name: library.model_manifest(name) for name in ("base", "large")}
    assert manifests["base"]["weights"]  # type: ignore[index]
    assert manifests["large"]["weights"] is None  # type: ignore[index]


def test_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in models.WEIGHTS.glob("*.safetensors")) < 15e6
