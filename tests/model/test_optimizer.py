"""The optimiser against the definitions it follows."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from xstilts.model import optimizer

RECIPE = {"lr": 0.01, "warmup": 0.25, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))


@pytest.mark.parametrize(("steps", "warmup"), [(20, 0.25), (7, 0.1), (5, 0.0), (1, 0.1), (4, 1.0)])
def test_schedule_is_the_published_one(steps: int, warmup: float) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([parameter], lr=0.01)
    schedule = get_linear_schedule_with_warmup(reference, math.ceil(warmup * steps), steps)
    for step in range(steps):
        assert optimizer.rate(step, steps, {**RECIPE, "warmup": warmup}) == pytest.approx(schedule.get_last_lr()[0])
        reference.step()
        schedule.step()


def test_update_is_that_of_plain_adamw() -> None:
    """Summed gradients over two cuts, against torch's own unfused AdamW on the mean loss."""
    ours, theirs = model(), model()
    fused = optimizer.build(ours.parameters(), RECIPE)
    decayed = [p for p in theirs.parameters() if p.dim() > 1]
    rest = [p for p in theirs.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0}]
    plain = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), fused=False)
    broken = torch.zeros(())
    for _ in range(5):
        x = torch.randn(6, 4)
        for part in (x[:4], x[4:]):
            (10 * ours(part)).square().sum().backward()
        norm = optimizer.step(fused, 0.01, torch.tensor(6), 1.0, broken)
        (10 * theirs(x)).square().mean().backward()
        torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0))
        plain.step()
        plain.zero_grad()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert broken == 0


def test_a_gradient_that_is_not_finite_changes_nothing_ever_after() -> None:
    net = model()
    fused = optimizer.build(net.parameters(), RECIPE)
    broken = torch.zeros(())
    one = torch.tensor(1)
    net(torch.randn(6, 4)).sum().backward()
    optimizer.step(fused, 0.01, one, None, broken)
    before = copy.deepcopy(net.state_dict())
    for factor in (float("nan"), 1.0):
        (factor * net(torch.randn(6, 4)).sum()).backward()
        optimizer.step(fused, 0.01, one, 1.0, broken)
        assert broken == 1
        assert all(torch.equal(before[name], weight) for name, weight in net.state_dict().items())


def test_parameters_of_an_idle_head_rest() -> None:
    """A step that reaches one head only leaves the other as it is: no decay, no moments."""
    heads = nn.ModuleDict({"one": nn.Linear(2, 2), "two": nn.Linear(2, 2)})
    fused = optimizer.build(heads.parameters(), RECIPE)
    before = copy.deepcopy(heads["two"].state_dict())
    heads["one"](torch.ones(2)).sum().backward()
    optimizer.step(fused, 0.01, torch.tensor(1), None, torch.zeros(()))
    assert all(torch.equal(before[name], weight) for name, weight in heads["two"].state_dict().items())
    assert heads["two"].weight not in fused.state
