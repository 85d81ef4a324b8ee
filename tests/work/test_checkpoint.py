"""Checkpoints and resume states: everything comes back, nothing is pickled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel

import tiny
from xstilts.errors import DataError
from xstilts.model import optimizer
from xstilts.model.encoder import Encoder
from xstilts.model.parallel import ALONE
from xstilts.work import checkpoint
from xstilts.work.checkpoint import Trained


def build(seed: int) -> tuple[Trained, torch.optim.AdamW]:
    torch.manual_seed(seed)
    trained = Trained(Encoder("xlm-roberta", tiny.CONFIG), {"one": nn.Linear(16, 2), "two": nn.Linear(16, 3)})
    return trained, optimizer.build(trained.parameters(), tiny.RECIPE)


def step(trained: Trained, adamw: torch.optim.AdamW, head: str) -> None:
    hidden = trained.encoder.eval()(torch.tensor([0, 7, 2, 0, 8, 9, 2]), torch.tensor([0, 3, 7]))
    trained.heads[head](hidden).square().sum().backward()
    optimizer.step(adamw, 1e-2, torch.tensor(2), 1.0, torch.zeros(()))


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 3}\n')
    return path


def test_a_state_comes_back_whole(tmp_path: Path, metrics: Path) -> None:
    """The head `two` had no gradient yet, so it has no moments; the best weights are others than the current ones."""
    trained, adamw = build(0)
    step(trained, adamw, "one")
    best = trained.weights().copy()
    step(trained, adamw, "one")
    checkpoint.save_state(tmp_path / "resume", trained, adamw, best, {"step": 2, "score": float("nan")}, metrics, ALONE)
    other, fresh = build(1)
    kept = checkpoint.load_state(tmp_path / "resume", other, fresh)
    state = checkpoint.read_state(tmp_path / "resume")
    assert state["step"] == 2
    assert state["score"] != state["score"]
    assert kept is not None
    for name, weight in best.encoder.items():
        assert torch.equal(kept.encoder[name], weight)
        assert torch.equal(kept.heads["one/weight"], best.heads["one/weight"])
    assert (tmp_path / "resume/metrics.jsonl").read_text() == metrics.read_text()
    for head in ("one", "two", "one"):
        step(trained, adamw, head)
        step(other, fresh, head)
    for a, b in zip(trained.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_is_one_that_hugging_face_reads(tmp_path: Path) -> None:
    trained, _ = build(0)
    checkpoint.save(tmp_path / "checkpoint", trained.weights(), {"step": 1})
    trained.encoder.config.save_pretrained(tmp_path / "checkpoint")
    stock = AutoModel.from_pretrained(tmp_path / "checkpoint", add_pooling_layer=False)
    for name, weight in trained.encoder.model.state_dict().items():
        assert torch.equal(stock.state_dict()[name], weight)
    assert checkpoint.read_facts(tmp_path / "checkpoint") == {"step": 1}


def test_heads_are_taken_by_their_name(tmp_path: Path) -> None:
    trained, _ = build(0)
    checkpoint.save(tmp_path / "checkpoint", trained.weights(), {})
    head = nn.Linear(16, 3)
    checkpoint.load_head(head, "two", tmp_path / "checkpoint")
    assert torch.equal(head.weight, trained.heads["two"].weight)
    with pytest.raises(DataError, match=r"heads\.safetensors: lacks"):
        checkpoint.load_head(head, "three", tmp_path / "checkpoint")
    with pytest.raises(DataError, match="does not fit"):
        checkpoint.load_head(head, "one", tmp_path / "checkpoint")


def test_a_copy_stays_when_the_weights_move_on() -> None:
    trained, adamw = build(0)
    copy = trained.weights().copy()
    before = trained.encoder.embeddings.weight.detach().clone()
    step(trained, adamw, "one")
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(copy.encoder[name], before)
    assert not torch.equal(trained.weights().encoder[name], before)


def test_an_older_state_stays_until_the_new_one_is_whole(tmp_path: Path, metrics: Path) -> None:
    trained, adamw = build(0)
    checkpoint.save_state(tmp_path / "resume", trained, adamw, None, {"step": 1}, metrics, ALONE)
    with pytest.raises(FileNotFoundError):
        checkpoint.save_state(tmp_path / "resume", trained, adamw, None, {"step": 2}, tmp_path / "nowhere", ALONE)
    assert checkpoint.read_state(tmp_path / "resume") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
