"""The last block for a sequence's first token alone, where a format reads nothing else.

A classifier reads <s>. For that, the last block needs keys and values of all tokens, but the query, the attention's
output and the feed-forward layer of first tokens only: ten twelfths of the block's work are never looked at. The stock
block does it, with its self-attention asked for first tokens and the residual cut to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from xstilts.model.packing import Packing, attend


class FirstQueries(nn.Module):
    """A block's self-attention, as XLM-R and XLM-R XL have it, asked by first tokens alone: [1, T, H] -> [1, S, H]."""

    def __init__(self, stock: nn.Module) -> None:
        super().__init__()
        self.stock: Any = stock

    def forward(
        self, hidden: torch.Tensor, attention_mask: None = None, *, packing: Packing, **ignored: Any
    ) -> tuple[torch.Tensor, None]:
        stock = self.stock
        heads = -1, stock.attention_head_size
        asking = hidden.index_select(1, packing.firsts)
        query = stock.query(asking).unflatten(-1, heads).transpose(1, 2)
        key, value = (layer(hidden).unflatten(-1, heads).transpose(1, 2) for layer in (stock.key, stock.value))
        dropout = stock.dropout.p if stock.training else 0.0
        found, _ = attend(stock, query, key, value, None, packing=packing, dropout=dropout, scaling=stock.scaling)
        return found.flatten(2), None


@contextmanager
def only(block: nn.Module, packing: Packing) -> Iterator[None]:
    """Inside, a block gives the states of first tokens only, [1, S, H]."""
    stock = block.get_submodule("attention.self")

    def cut(module: nn.Module, inputs: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs[0], inputs[1].index_select(1, packing.firsts)

    hook = block.get_submodule("attention.output").register_forward_pre_hook(cut)
    block.set_submodule("attention.self", FirstQueries(stock))
    try:
        yield
    finally:
        block.set_submodule("attention.self", stock)
        hook.remove()
