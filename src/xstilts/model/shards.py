"""A module's weights in shares, one a rank: for a model whose training does not fit one GPU.

torch's FSDP2 (`fully_shard`) cuts every parameter along its first axis, one part a rank. A block's weights are gathered
just before they are needed, forward and backward, and are freed behind it; gradients are summed as soon as a block's
backward is through, and each rank keeps those of its own rows. So of weights, gradients and moments a rank holds its
share, and beside it one block or two, and during a pass whatever is in no block: embeddings and heads.

The optimiser knows nothing of this. What it updates are this rank's rows, plain tensors that share memory with FSDP's
parameters: clipping, the flag of divergence and fused AdamW are the code of one process.

Weights are gathered as float32 and turned into bf16 where they are used (autocast), as in one process. FSDP's own
MixedPrecisionPolicy would send half as much, but would round embeddings and normalisations as well: another result, and
precision is recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from xstilts.model.parallel import Group

#: By their names before and since torch 2.13.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


class Shards:
    """What this rank holds of a module from now on, on `device`; `blocks` are its parts that are gathered one by one.

    All computing with the module must go through its `forward`, and every rank must do as many passes as the others,
    with gradients for the same parameters. A parameter without one in a step is left alone, as in one process.
    """

    own: dict[str, nn.Parameter]  # by the module's names, this rank's rows of each

    def __init__(self, module: nn.Module, blocks: Iterable[nn.Module], device: torch.device, group: Group) -> None:
        mesh = init_device_mesh(device.type, (group.size,))
        for part in (*blocks, module):
            sharded = fully_shard(part, mesh=mesh, reshard_after_forward=True)
            sharded.set_gradient_divide_factor(1.0)  # gradients are sums, as losses are; torch would take means
            sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no other
            sharded.set_custom_all_gather(_Gather(group))  # type: ignore[arg-type]
            sharded.set_custom_reduce_scatter(_Scatter(group))  # type: ignore[arg-type]
        self._parameters = dict(module.named_parameters())
        self.own = {name: nn.Parameter(local(parameter)) for name, parameter in self._parameters.items()}

    def take_gradients(self) -> None:
        """Move the summed gradients of all passes since the last call to `own`."""
        for name, parameter in self._parameters.items():
            self.own[name].grad = None if parameter.grad is None else local(parameter.grad)
            parameter.grad = None


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's rows of a sharded tensor, not copied; any other tensor as it is."""
    with torch.no_grad():
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@dataclass
class _Comm:
    """What FSDP asks of those who send for it (torch.distributed.fsdp's `Comm`)."""

    ranks: Group

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.empty(*size, dtype=dtype, device=device)


class _Gather(_Comm):
    """torch's all-gather, which says `Lost` when a rank is gone."""

    def __call__(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: dist.ProcessGroup, async_op: bool = False
    ) -> dist.Work | None:
        with self.ranks.watched():
            return _all_gather(output_tensor, input_tensor, group=group, async_op=async_op)


class _Scatter(_Comm):
    """torch's reduce-scatter, which says `Lost` when a rank is gone."""

    def __call__(
        self,
        output_tensor: torch.Tensor,
        input_tensor: torch.Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> dist.Work | None:
        with self.ranks.watched():
            return _reduce_scatter(output_tensor, input_tensor, group=group, op=op, async_op=async_op)
