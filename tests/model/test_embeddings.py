"""The gradient that stays is torch's own, to the bit, whatever a step reads."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xstilts.model.embeddings import Embeddings

ROWS, WIDTH, PADDING = 12, 5, 1
reads = st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=20)
steps = st.lists(st.lists(reads, min_size=1, max_size=3), min_size=1, max_size=4)


def tables() -> tuple[nn.Embedding, Embeddings]:
    weight = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    return nn.Embedding(ROWS, WIDTH, PADDING, _weight=weight.clone()), Embeddings(weight.clone(), PADDING)


@given(steps)
def test_gradients_of_several_steps_of_several_passes(steps: list[list[list[int]]]) -> None:
    theirs, ours = tables()
    torch.manual_seed(1)
    for passes in steps:
        for read in passes:
            towards = torch.randn(1, len(read), WIDTH)
            for table in (theirs, ours):
                states = table(torch.tensor([read]))
                (states * towards).sum().backward()
        assert theirs.weight.grad is not None
        assert ours.weight.grad is not None
        assert torch.equal(theirs.weight.grad, ours.weight.grad)
        for table in (theirs, ours):
            table.weight.grad.mul_(0.3)  # as clipping does
            table.zero_grad(set_to_none=True)


def test_one_tensor_stays() -> None:
    _, table = tables()
    seen = set()
    for row in (3, 4):
        table(torch.tensor([row])).sum().backward()
        assert table.weight.grad is not None
        assert table.weight.grad.abs().sum(1).nonzero().tolist() == [[row]]
        seen.add(table.weight.grad.data_ptr())
        table.zero_grad(set_to_none=True)
    assert len(seen) == 1


def test_torch_does_it_where_gradients_must_be_seen() -> None:
    _, table = tables()
    table.in_place = False
    (found,) = torch.autograd.grad(table(torch.tensor([3])).sum(), table.weight)
    assert found[3].tolist() == [1] * WIDTH
    with torch.no_grad():
        assert torch.equal(table(torch.tensor([3])), table.weight[[3]])
