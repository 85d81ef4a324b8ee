"""Attention within sequences that lie end to end, without padding between them.

Everything else in an encoder is done a token at a time and never needs to know where a sequence ends. So a batch is one
row of tokens for the stock model, and only `attend`, in transformers' registry under `packed`, sees the sequences. In
half precision on a CUDA device it is one call of the flash kernel that torch carries. Everywhere else the sequences,
sorted by length, fall into groups of similar length, and each group is one padded `scaled_dot_product_attention`, or,
for dropout on a CPU, which that leaves to its slowest kernel, the same in plain steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface

from xstilts.data.batches import sent
from xstilts.model import dropout as dropouts

NAME = "packed"

#: A group's shortest sequence has at least this share of its longest one's tokens. Measured: see benchmarks/RESULTS.md.
SIMILAR = 0.75


@dataclass(frozen=True)
class Group:
    """Neighbouring sequences of similar length."""

    begin: int  # tokens of the row, begin:end
    end: int
    count: int  # sequences
    width: int  # tokens of the longest
    cells: torch.Tensor | None  # int64 [end-begin], where its tokens are in count x width; None: all are as long
    mask: torch.Tensor | None  # bool [count, 1, 1, width], what is no padding


@dataclass(frozen=True)
class Packing:
    """A row of sequences, the longest first."""

    sizes: np.ndarray  # int64 [S], tokens, falling
    turns: np.ndarray  # int64 [S], which sequence of the caller's comes where
    device: torch.device
    order: torch.Tensor | None  # int64 [T], which token of the caller's comes where; None: as they are
    back: torch.Tensor | None  # int64 [T], the reverse
    places: torch.Tensor  # int64 [T], of a token in its sequence

    @classmethod
    def of(cls, lengths: np.ndarray, device: torch.device) -> Packing:
        """Of sequences of these lengths (int64 [S]), which lie end to end in this order."""
        turns = np.argsort(-lengths, kind="stable")
        sizes = lengths[turns]
        places = _places(sizes)
        order = back = None
        if (turns[1:] < turns[:-1]).any():
            rows = places + np.repeat((np.cumsum(lengths) - lengths)[turns], sizes)
            order, back = _to(rows, device), _to(np.argsort(rows), device)
        return cls(sizes, turns, device, order, back, _to(places, device))

    @cached_property
    def starts(self) -> torch.Tensor:
        """Where the sequences start, and where the last one ends: int32 [S+1], as the flash kernel wants them."""
        return _to(_bounds(self.sizes).astype(np.int32), self.device)

    @cached_property
    def firsts(self) -> torch.Tensor:
        """The first token of every sequence: int64 [S]."""
        return _to(_bounds(self.sizes)[:-1], self.device)

    @cached_property
    def turned_back(self) -> torch.Tensor:
        """Where the caller's sequences are: int64 [S]."""
        return _to(np.argsort(self.turns), self.device)

    @cached_property
    def groups(self) -> list[Group]:
        """Neighbours of similar length."""
        firsts = [0]
        for at, size in enumerate(self.sizes.tolist()):
            if size < SIMILAR * self.sizes[firsts[-1]]:
                firsts.append(at)
        bounds = _bounds(self.sizes)
        return [
            _group(int(bounds[first]), self.sizes[first:last], self.device)
            for first, last in zip(firsts, [*firsts[1:], len(self.sizes)], strict=True)
        ]


def _to(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return sent(torch.from_numpy(values), device)


def _bounds(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)])


def _places(sizes: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... of every sequence."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _group(begin: int, sizes: np.ndarray, device: torch.device) -> Group:
    count, width, tokens = len(sizes), int(sizes[0]), int(sizes.sum())
    if count * width == tokens:
        return Group(begin, begin + tokens, count, width, None, None)
    cells = np.repeat(np.arange(count) * width, sizes) + _places(sizes)
    mask = (np.arange(width) < sizes[:, None])[:, None, None]
    return Group(begin, begin + tokens, count, width, _to(cells, device), _to(mask, device))


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packing: Packing,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **ignored: Any,
) -> tuple[torch.Tensor, None]:
    """Of query, key and value [1, heads, T, D] the attention's output [1, T, heads, D].

    Queries of every sequence's first token alone, [1, heads, S, D], give [1, S, heads, D]. `sliding_window` w lets a
    token see those less than w places away, as ModernBERT's local layers do.
    """
    half = query.dtype in (torch.bfloat16, torch.float16)
    inside = _flash if query.is_cuda and half else _in_groups
    # [T, heads, D], not by x[0], whose gradient would be a copy in other order, filled with zeros before.
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    return inside(q, k, v, packing, dropout, scaling, sliding_window)[None], None


def _flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """All sequences in one call. torch's public `varlen_attn` is the same kernel without dropout (torch 2.13)."""
    side = None if window is None else window - 1
    asked, most = packing.starts, int(packing.sizes[0])
    if len(query) < len(key):  # a token of every sequence
        asked, most = torch.arange(len(asked), dtype=torch.int32, device=query.device), 1
    return torch.ops.aten._flash_attention_forward(
        *(query, key, value, asked, packing.starts, most, int(packing.sizes[0]), dropout, False, False),
        scale=scaling,
        window_size_left=side,
        window_size_right=side,
    )[0]


def _in_groups(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    found = []
    first = len(query) < len(key)
    sizes = [group.end - group.begin for group in packing.groups]
    asked = [group.count for group in packing.groups] if first else sizes
    # Not a slice a group, whose gradient would be a whole tensor, nearly all zeros, to be added to the others'.
    for group, q, k, v in zip(packing.groups, query.split(asked), key.split(sizes), value.split(sizes), strict=True):
        k, v = (_padded(x, group).transpose(1, 2) for x in (k, v))
        if first:
            found.append(_scaled(q[:, :, None], k, v, group.mask, dropout, scaling)[:, :, 0])
            continue
        q = _padded(q, group).transpose(1, 2)
        mask = group.mask
        if window is not None and window < group.width:
            place = torch.arange(group.width, device=query.device)
            near = (place - place[:, None]).abs() < window
            mask = near if mask is None else near & mask
        seen = _scaled(q, k, v, mask, dropout, scaling)
        flat = seen.transpose(1, 2).flatten(0, 1)
        found.append(flat if group.cells is None else flat.index_select(0, group.cells))
    return torch.cat(found)


def _scaled(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    if not (dropout and query.is_cpu):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling)
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(-1, -2)
    if mask is not None:  # by a finite number: a padded query may see nothing at all, and must not become NaN
        scores = scores + scores.new_zeros(mask.shape).masked_fill_(~mask, torch.finfo(scores.dtype).min)
    shares = torch.softmax(scores, -1)
    return (shares * dropouts.mask(shares.shape, dropout, shares.dtype)) @ value


def _padded(rows: torch.Tensor, group: Group) -> torch.Tensor:
    """[count, width, heads, D] of a group's [tokens, heads, D]."""
    if group.cells is not None:
        rows = rows.new_zeros(group.count * group.width, *rows.shape[1:]).index_copy(0, group.cells, rows)
    return rows.unflatten(0, (group.count, group.width))


AttentionInterface.register(NAME, attend)
