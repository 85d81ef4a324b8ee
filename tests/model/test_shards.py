"""What a rank holds of sharded weights, and what it reads of a file; trainings are in tests/work/test_sharded.py."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import ranks
import tiny
from xstilts.formats.heads import SentenceHead
from xstilts.model import optimizer, weights
from xstilts.model.encoder import Encoder
from xstilts.model.parallel import Group, Place, joined
from xstilts.model.weights import Rows
from xstilts.work.checkpoint import Trained

RANKS = 4
CONFIG = {**tiny.CONFIG, "vocab_size": 4000, "hidden_size": 32, "intermediate_size": 64}
TOKENS, STARTS = torch.tensor([0, 7, 2, 0, 8, 9, 2]), torch.tensor([0, 3, 7])


def build() -> Trained:
    torch.manual_seed(0)
    encoder = Encoder("xlm-roberta-xl", CONFIG, dropout=0.0)
    return Trained(encoder, {name: SentenceHead(encoder, 2, dropout_first=False) for name in ("one", "two")})


def update(trained: Trained, adamw: torch.optim.AdamW, group: Group) -> None:
    """With one head of two."""
    norm = group.length if trained.sharded else None
    loss = trained("one", lambda encoder, head: head(encoder(TOKENS, STARTS)[:2]).square().sum() / group.size)
    loss.backward()
    if trained.shards is not None:
        trained.shards.take_gradients()
    optimizer.step(adamw, 1e-2, torch.tensor(2), 0.1, torch.zeros(()), norm)


def held() -> int:
    """Bytes of all tensors that are alive."""
    gc.collect()
    found = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
    storages = [
        tensor.untyped_storage() for tensor in found if not isinstance(tensor, torch.distributed.tensor.DTensor)
    ]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def measure(place: Place, folder: Path) -> None:
    """A rank: two updates, then what it holds and what all of them have made together."""
    with joined(place) as group:
        before = held()
        trained = build()
        trained.shard(torch.device("cpu"), group)
        adamw = optimizer.build(trained.own.values(), tiny.RECIPE)
        moments = []
        for _ in range(2):
            update(trained, adamw, group)
            moments.append(sorted(name for name, own in trained.own.items() if own in adamw.state))
        facts = {"held": held() - before, "own": sum(own.numel() for own in trained.own.values()), "moments": moments}
        (folder / f"{group.rank}.json").write_text(json.dumps(facts))
        whole = trained.weights().joined(group)
        if group.first:
            save_file({**whole.encoder, **whole.heads}, folder / "whole.safetensors")


def test_a_rank_holds_its_share_and_all_together_the_weights_of_one(tmp_path: Path) -> None:
    trained = build()
    adamw = optimizer.build(trained.parameters(), tiny.RECIPE)
    for _ in range(2):
        update(trained, adamw, Group())
    processes = ranks.call(measure, RANKS, tmp_path)
    assert ranks.ended(processes) == [0] * RANKS

    parameters = sum(parameter.numel() for parameter in trained.parameters())
    facts = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(RANKS)]
    assert sum(each["own"] for each in facts) == parameters
    state = 12 * parameters  # weights and two moments; the gradient is gone
    for each in facts:
        assert state / RANKS * 0.95 < each["held"] < state / RANKS * 1.1
        assert each["moments"] == [[name for name in sorted(dict(trained.named_parameters())) if "two" not in name]] * 2

    expected = trained.weights()
    found = dict(weights.rows([tmp_path / "whole.safetensors"], Rows()))
    assert found.keys() == {*expected.encoder, *expected.heads}
    for name, values in {**expected.encoder, **expected.heads}.items():
        torch.testing.assert_close(found[name], values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("saved", [1, 2, 5])
@pytest.mark.parametrize("wanted", [1, 3, 4])
def test_rows_are_read_whoever_saved_them(tmp_path: Path, saved: int, wanted: int) -> None:
    tensors = {"a": torch.randn(7, 3), "b": torch.randn(2), "step": torch.tensor(3.0)}
    paths = [tmp_path / f"{rank}.safetensors" for rank in range(saved)]
    for rank, path in enumerate(paths):
        save_file({n: t[Rows(rank, saved).of(len(t))].clone() if t.dim() else t for n, t in tensors.items()}, path)
    found = [dict(weights.rows(paths, Rows(rank, wanted))) for rank in range(wanted)]
    for name, tensor in tensors.items():
        if tensor.dim():
            assert torch.equal(torch.cat([each[name] for each in found]), tensor)
        assert all(torch.equal(each["step"], tensors["step"]) for each in found)


def test_rows_are_cut_as_torch_cuts() -> None:
    for rows in range(12):
        for size in (1, 2, 5):
            parts = [len(range(rows)[Rows(rank, size).of(rows)]) for rank in range(size)]
            assert sum(parts) == rows
            assert [part for part in parts if part] == [len(chunk) for chunk in torch.arange(rows).chunk(size) if rows]
