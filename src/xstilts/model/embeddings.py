"""An embedding table whose gradient is added up in place.

torch makes a dense gradient of the whole table for every micro-batch, adds those of a step together, and throws them
away after it. A step reads a thousand rows of tens of thousands, so nearly all of that is writing, adding and giving
back zeros. Here one tensor stays: a micro-batch adds its rows to it, and a step begins with zeros in the rows that the
last one read. The gradient is the same one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Embeddings(nn.Embedding):
    """On a CPU, and while `in_place`; anywhere else torch's own.

    A gradient is in `weight.grad` and nowhere else: `torch.autograd.grad` finds none, and nor would a tied layer.
    """

    in_place = True  # not for weights in shares, whose gradients FSDP must see

    def __init__(self, rows: torch.Tensor, padding: int) -> None:
        super().__init__(len(rows), rows.shape[1], padding, _weight=rows)
        self._gradient: torch.Tensor | None = None
        self._read: list[torch.Tensor] = []  # rows of it that may not be zero

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not (self.in_place and self.weight.is_cpu and torch.is_grad_enabled()):
            return super().forward(input)
        found: torch.Tensor = _Read.apply(self.weight, input, self)
        return found

    def add(self, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        """Of the states [T, H] that the rows [T] gave; those of padding learn nothing, as with torch.

        Summed by row first, and then to what there is: in torch's order, and so to the bit what torch would have.
        """
        if self.weight.grad is None:
            self.weight.grad = self._zeros()
        rows, turn = rows.unique(return_inverse=True)
        summed = gradient.new_zeros(len(rows), gradient.shape[1]).index_add_(0, turn, gradient)
        self._read.append(rows)
        self.weight.grad.index_add_(0, rows, summed)
        self.weight.grad[self.padding_idx] = 0

    def _zeros(self) -> torch.Tensor:
        """Of the table's shape."""
        if self._gradient is None:
            self._gradient = torch.zeros_like(self.weight)
        for rows in self._read:
            self._gradient.index_fill_(0, rows, 0)
        self._read.clear()
        return self._gradient


class _Read(torch.autograd.Function):
    """Rows of a table, which hears of their gradient."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, rows: torch.Tensor, table: Embeddings) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.table = table
        return F.embedding(rows, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None]:
        (rows,) = ctx.saved_tensors
        ctx.table.add(rows.flatten(), gradients[0].flatten(0, -2))
        return None, None, None
