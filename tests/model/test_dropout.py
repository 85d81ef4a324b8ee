"""Our masks are dropout: the right share, of numbers that know nothing of each other, repeatable and unbiased."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tiny
from xstilts import formats
from xstilts.model.dropout import Dropout, mask
from xstilts.model.encoder import Encoder

MANY = torch.Size([1000, 1001])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 1 / 65536, 1 - 1 / 65536])
def test_the_rate_is_dropped_and_the_rest_makes_up_for_it(rate: float) -> None:
    torch.manual_seed(0)
    found = mask(MANY, rate, torch.float32)
    assert found.shape == MANY
    kept = found != 0
    deviation = (rate * (1 - rate) / MANY.numel()) ** 0.5
    assert abs((~kept).double().mean().item() - rate) < 4 * deviation + 0.5 / 65536
    assert found[kept].unique().numel() == 1
    assert found[kept][0].item() * (1 - rate) == pytest.approx(1, rel=1e-4)


def test_nothing_is_dropped_by_a_rate_too_small_for_sixteen_bits() -> None:
    assert (mask(MANY, 1e-6, torch.float32) == 1).all()


def test_neighbours_do_not_know_of_each_other() -> None:
    """Four numbers share a draw of the generator, and rows follow each other in it."""
    torch.manual_seed(0)
    kept = (mask(torch.Size([400, 1000]), 0.5, torch.float32) != 0).double() - 0.5
    for shift in (1, 2, 3, 4, 8, 1000):
        flat = kept.flatten()
        assert abs((flat[shift:] * flat[:-shift]).mean().item() * 4) < 4 / len(flat) ** 0.5


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 4), (2, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_shape_and_precision(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    found = mask(torch.Size(shape), 0.3, dtype)
    assert (found.shape, found.dtype) == (torch.Size(shape), dtype)


def test_the_generator_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(mask(MANY, 0.5, torch.float32))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_gradients_pass_where_numbers_did() -> None:
    layer, numbers = Dropout(0.4).train(), torch.ones(50, 50, requires_grad=True)
    kept = layer(numbers)
    kept.sum().backward()
    assert torch.equal(kept, numbers.grad)
    assert 0 in kept
    assert torch.equal(layer.eval()(numbers), numbers)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl", "modernbert"])
def test_no_dropout_of_a_model_or_a_head_is_left_to_torch(architecture: str) -> None:
    special = {"cls_token_id": 0, "sep_token_id": 2} if architecture == "modernbert" else {}
    encoder = Encoder(architecture, {**tiny.SHAPE, **special}, dropout=0.1)
    heads = [formats.get(task.format).head(task, encoder) for task in (tiny.TOPIC, tiny.QUESTIONS, tiny.PARITY)]
    found = [type(part) for module in (encoder, *heads) for part in module.modules() if isinstance(part, nn.Dropout)]
    assert set(found) == {Dropout}
    assert all(part.p == 0.1 for part in encoder.modules() if isinstance(part, nn.Dropout))
