"""Which rows of the embedding table are trained, and that the table comes back whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from xstilts.data.batches import Features
from xstilts.formats import get
from xstilts.model import vocabulary
from xstilts.model.encoder import Encoder

SPECIAL = {"cls_token_id": 0, "sep_token_id": 2}
SHAPES = {"xlm-roberta": tiny.CONFIG, "xlm-roberta-xl": tiny.CONFIG, "modernbert": {**tiny.SHAPE, **SPECIAL}}
CLASSIFICATION, MLM = get("classification"), get("mlm")


def features(*ids: int) -> Features:
    tokens = np.array(ids, np.int32)
    return Features(tokens, np.array([0, len(ids)]), np.array([0, 1]), np.array([0]))


every = pytest.mark.parametrize("architecture", SHAPES)


def build(architecture: str) -> Encoder:
    torch.manual_seed(0)
    return Encoder(architecture, SHAPES[architecture])


@every
def test_states_and_gradients_are_those_of_the_whole_table(architecture: str) -> None:
    whole, small = build(architecture).eval(), build(architecture).eval()
    table = vocabulary.cut(small, [CLASSIFICATION], [features(0, 7, 33, 2), features(33, 59)], "auto")
    assert table is not None
    assert table.ids.tolist() == [0, 1, 2, 7, 33, 59]
    assert len(small.embeddings.weight) == len(table) == 6
    tokens, starts = torch.tensor([0, 33, 33, 2, 0, 59, 2]), torch.tensor([0, 4, 7])
    states = [encoder(tokens, starts) for encoder in (whole, small)]
    assert torch.equal(*states)
    for encoder, hidden in zip((whole, small), states, strict=True):
        hidden.square().sum().backward()
        assert encoder.embeddings.weight.grad is not None
    expected, found = whole.embeddings.weight.grad, small.embeddings.weight.grad
    assert expected is not None
    assert found is not None
    assert torch.equal(expected[table.ids], found)
    assert not found[1].any(), "padding learns nothing"
    with pytest.raises(IndexError):
        small(torch.tensor([0, 8, 2]), torch.tensor([0, 3]))


@every
def test_the_table_comes_back_whole(architecture: str) -> None:
    encoder = build(architecture)
    before = encoder.embeddings.weight.detach().clone()
    name, table = next(iter(encoder.model.state_dict())), vocabulary.Table(encoder, torch.tensor([0, 1, 5]))
    assert table.name == name
    rows = torch.randn(3, 16)
    whole = table.whole(rows, 0.5)
    assert torch.equal(whole[table.ids], rows)
    rest = torch.ones(60, dtype=torch.bool).index_fill(0, table.ids, False)
    assert torch.equal(whole[rest], before[rest] / 2)
    assert torch.equal(table.whole(before[table.ids], 1.0), before)


def test_where_it_pays() -> None:
    few, most = [features(*range(20))], [features(*range(58))]

    def rows(wanted: str, formats: list, parts: list[Features]) -> int:
        encoder = build("xlm-roberta")
        vocabulary.cut(encoder, formats, parts, wanted)
        return len(encoder.embeddings.weight)

    assert rows("auto", [CLASSIFICATION], few) == 20
    assert rows("auto", [CLASSIFICATION], most) == 60
    assert rows("used", [CLASSIFICATION], most) == 58
    assert rows("whole", [CLASSIFICATION], few) == 60
    assert rows("used", [CLASSIFICATION, MLM], few) == 60
