"""Dropout whose masks are cheap to draw on a CPU.

torch draws a CPU's masks one double at a time: a tenth of a training step, and a seventh where sequences are long. Here
a number takes sixteen random bits, four numbers share a draw from torch's own generator, and what follows is
vectorised: a third of the time (benchmarks/RESULTS.md). So a rate is rounded to a 65,536th, and what stays is divided
by what the rounded rate leaves: expectations are exact. On any other device it is torch's own dropout.
"""

from __future__ import annotations

import math

import torch
from torch import nn

LEVELS = 1 << 16


def mask(shape: torch.Size, rate: float, dtype: torch.dtype) -> torch.Tensor:
    """What to multiply with, on the CPU: 0 with probability `rate`, below 1, and else 1 / (1 - rate)."""
    level, count = round(rate * LEVELS), math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    kept = bits.view(torch.int16)[:count].float().ge_(level - LEVELS // 2)
    return kept.mul_(LEVELS / (LEVELS - level)).to(dtype).view(shape)


class Dropout(nn.Dropout):
    """In the place of torch's."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.p and input.is_cpu):
            return super().forward(input)
        return input * mask(input.shape, self.p, input.dtype)


def install(model: nn.Module) -> None:
    """Put ours in the place of every dropout of a stock model."""
    for path, module in list(model.named_modules()):
        if type(module) is nn.Dropout:
            model.set_submodule(path, Dropout(module.p))
