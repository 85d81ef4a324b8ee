"""Rows without padding against the stock models with padding: the same states, and the same gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from xstilts import formats
from xstilts.model import packing
from xstilts.model.encoder import Encoder
from xstilts.model.packing import Packing

SHAPES = {
    "xlm-roberta": tiny.SHAPE,
    "xlm-roberta-xl": tiny.SHAPE,
    "modernbert": {**tiny.SHAPE, "cls_token_id": 0, "sep_token_id": 2, "local_attention": 4},
}
lengths = st.lists(st.integers(1, 32), min_size=1, max_size=9)


def build(architecture: str) -> Encoder:
    torch.manual_seed(0)
    return Encoder(architecture, SHAPES[architecture], dropout=0.0).train()


ENCODERS = {architecture: build(architecture) for architecture in SHAPES}


def gradients(model: torch.nn.Module, hidden: torch.Tensor, towards: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (hidden * towards).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("architecture", SHAPES)
@settings(max_examples=12)
@given(sizes=lengths)
def test_states_and_gradients_are_those_of_the_padded_model(architecture: str, sizes: list[int]) -> None:
    """For any direction of the gradient, so for the loss of every format, which sees these states alone."""
    encoder = ENCODERS[architecture]
    padded = copy.deepcopy(encoder.model)
    padded.set_attn_implementation("sdpa")
    torch.manual_seed(1)
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    ids = torch.randint(4, tiny.VOCABULARY, mask.shape).masked_fill(~mask, 1)
    towards = torch.randn(int(mask.sum()), encoder.hidden_size)
    expected = padded(input_ids=ids, attention_mask=mask.long()).last_hidden_state[mask]
    starts = torch.tensor(np.cumsum([0, *sizes]))
    found = encoder(ids[mask], starts)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
    theirs, ours = gradients(padded, expected, towards), gradients(encoder.model, found, towards)
    assert theirs.keys() == ours.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("architecture", SHAPES)
@settings(max_examples=12)
@given(sizes=lengths, layers=st.integers(0, 2))
def test_first_states_alone_are_those_among_all(architecture: str, sizes: list[int], layers: int) -> None:
    encoder = ENCODERS[architecture]
    torch.manual_seed(1)
    starts = torch.tensor(np.cumsum([0, *sizes]))
    tokens = torch.randint(4, tiny.VOCABULARY, (sum(sizes),))
    towards = torch.randn(len(sizes), encoder.hidden_size)
    whole, alone = (encoder(tokens, starts, layers, firsts=firsts) for firsts in (False, True))
    expected, found = whole[starts[:-1]], alone[starts[:-1]]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
    theirs = gradients(encoder.model, expected, towards)
    ours = gradients(encoder.model, found, towards)
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=2e-5)
    if encoder.adapter.bert and layers:
        rest = torch.ones(len(tokens), dtype=torch.bool).index_fill(0, starts[:-1], False)
        assert alone[rest].isnan().all(), "what was not computed cannot be read by mistake"


def test_formats_that_say_so_read_first_states_alone() -> None:
    assert {name for name in formats.FORMATS if formats.get(name).reads_firsts} == {
        *("classification", "choice", "dual_encoder")
    }


@given(lengths)
def test_a_packing_is_the_same_tokens_in_groups(sizes: list[int]) -> None:
    made = Packing.of(np.array(sizes), torch.device("cpu"))
    tokens = torch.arange(sum(sizes))
    row = tokens if made.order is None else tokens[made.order]
    assert torch.equal(row if made.back is None else row[made.back], tokens)
    assert made.places.tolist() == [place for size in sorted(sizes, reverse=True) for place in range(size)]
    assert made.starts.tolist() == np.cumsum([0, *sorted(sizes, reverse=True)]).tolist()
    end = 0
    for group in made.groups:
        assert group.begin == end
        end = group.end
        inside = np.arange(group.width) < made.sizes[made.sizes <= group.width][: group.count, None]
        assert inside.sum() == group.end - group.begin
        assert (inside.sum(axis=1) >= packing.SIMILAR * group.width).all()
        if group.mask is not None and group.cells is not None:
            assert torch.equal(group.mask[:, 0, 0], torch.from_numpy(inside))
            assert torch.equal(group.mask.flatten().nonzero()[:, 0], group.cells)
    assert end == sum(sizes)


def test_attention_dropout_is_applied() -> None:
    shape = {**tiny.SHAPE, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.5}
    encoder = Encoder("xlm-roberta", shape).train()
    tokens, starts = torch.tensor([0, 7, 8, 2, 0, 9, 2]), torch.tensor([0, 4, 7])
    assert not torch.equal(encoder(tokens, starts), encoder(tokens, starts))
    encoder.eval()
    assert torch.equal(encoder(tokens, starts), encoder(tokens, starts))


@pytest.mark.parametrize("window", [None, 3])
def test_the_flash_kernel_takes_what_it_is_given(window: int | None) -> None:
    """On torch's meta device: signature, shapes and types. That its numbers are right needs a GPU to say."""
    sizes = np.array([5, 3, 3])
    made = Packing.of(sizes, torch.device("cpu"))
    rows = [torch.empty(11, 2, 8, dtype=torch.bfloat16, device="meta") for _ in range(3)]
    on_meta = copy.copy(made)
    on_meta.__dict__["starts"] = made.starts.to("meta")
    found = packing._flash(*rows, on_meta, 0.1, 0.3, window)
    assert (found.shape, found.dtype) == ((11, 2, 8), torch.bfloat16)
    firsts = packing._flash(rows[0][:3], *rows[1:], on_meta, 0.1, 0.3, None)
    assert firsts.shape == (3, 2, 8)
