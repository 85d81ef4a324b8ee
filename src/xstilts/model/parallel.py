"""One training on several processes: each takes its share of every step, and all make the same update.

A process is a *rank*; the first one is 0. Losses are sums over terms, so ranks add up gradients, losses and counts
once a step, and every rank divides by the count of the whole step (`optimizer.step`). The sum is the same bits
everywhere, so weights stay equal without being sent.

torch's DistributedDataParallel would send gradients while the last micro-batch is still in its backward pass. It is not
used because it wants the same number of passes on every rank, where a short step may leave one without a micro-batch; a
gradient for every parameter, where a step trains one head of several; and the mean over ranks, where ranks have
different numbers of terms.

What is on a GPU goes over nccl, the rest over gloo. What the first rank decides is told to the others through the key-
value store by which they found each other, as JSON. Tried with gloo on CPUs, on one machine and on a Slurm cluster;
nccl, for want of several GPUs, was not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from xstilts.errors import UserError, reason

JOIN = timedelta(minutes=10)  # until all ranks are there
#: For an answer. A rank whose process ends is noticed at once, by its closed connections; this is for one that hangs,
#: or whose network is cut. Longer than Slurm needs to miss a node (SlurmdTimeout), and than an evaluation of selection
#: items, which the others wait for.
ANSWER = timedelta(minutes=30)
LEAVE = timedelta(minutes=1)  # until all have heard how it ended
BUCKET = 1 << 24  # gradients that are sent together: 64 MB


@dataclass(frozen=True)
class Place:
    """Which process of how many this is, and where all of them meet."""

    rank: int
    size: int
    local: int  # which one on its node
    address: str  # of the first rank's node
    port: int

    @classmethod
    def torchrun(cls, variables: Mapping[str, str]) -> Place | None:
        """As torchrun says it to the processes it starts; None for a process that it did not start."""
        if "WORLD_SIZE" not in variables:
            return None
        rank, size, local, port = (int(variables[k]) for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"))
        return cls(rank, size, local, variables["MASTER_ADDR"], port)


class Lost(UserError):
    """Another rank is gone, or does not answer."""


class Ended(Exception):
    """The first rank has ended the stage; `status` says how."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(eq=False)
class Group:
    """The ranks of a stage, as one of them sees them. A single process is a group too, which sends nothing."""

    rank: int = 0
    size: int = 1
    store: dist.Store | None = None
    said: int = field(default=0, init=False)  # by the first rank, so far

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes: claim, attempt, metrics, states, checkpoint."""
        return self.rank == 0

    # from the first rank to the others ------------------------------------------------------------------------------

    def tell(self, value: Any = None) -> Any:
        """What the first rank gives here, on every rank: plain values that JSON knows. Raises `Ended` or `Lost`."""
        if self.store is None:
            return value
        self.said += 1
        key = f"said/{self.said}"
        if self.first:
            self._send(lambda store: store.set(key, json.dumps({"value": value})))
            return value
        heard = json.loads(self._send(lambda store: store.get(key)))
        if "end" in heard:
            raise Ended(heard["end"])
        return heard["value"]

    def end(self, status: str) -> None:
        """Said by the first rank when a stage is over, well or not; the others get it as `Ended`."""
        if self.store is not None:
            self.said += 1
            self._send(lambda store: store.set(f"said/{self.said}", json.dumps({"end": status})))

    def fail(self, error: BaseException) -> None:
        """Leave word why this rank ends, for whoever notices that it is gone."""
        if self.store is not None and not isinstance(error, Lost):
            self._send(lambda store: store.set("failed", f"rank {self.rank}: {reason(error)}"))

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Raises `UserError` where this rank has other facts than the first."""
        theirs = self.tell(dict(facts))
        if other := {k: [theirs.get(k), v] for k, v in facts.items() if theirs.get(k) != v}:
            raise UserError(f"ranks 0 and {self.rank} differ: {other}; a stage needs equal devices and settings")

    # sums over all ---------------------------------------------------------------------------------------------------

    def total(self, *counts: int) -> list[int]:
        """Whole numbers, summed over ranks; waits for all of them, and for no device."""
        if self.store is None:
            return list(counts)
        summed = torch.tensor(counts, dtype=torch.int64)
        self._sum(summed)
        return [int(count) for count in summed]

    def add_up(self, loss: torch.Tensor, terms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and the terms of a step, two scalars, summed over ranks."""
        if self.store is None:
            return loss, terms
        both = torch.stack([loss.double(), terms.double()])
        self._sum(both)
        return both[0], both[1]

    def add_gradients(self, parameters: Iterable[torch.Tensor]) -> None:
        """Sum the gradients of a step over ranks, in place.

        A parameter that had no gradient on any rank gets none: AdamW leaves it alone, as in one process.
        """
        if self.store is None:
            return
        each = list(parameters)
        gradients = []
        for parameter, ranks in zip(each, self.total(*(p.grad is not None for p in each)), strict=True):
            if ranks:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradients.append(parameter.grad)
        for bucket in _buckets(gradients):
            self._sum_bucket(bucket)

    def length(self, own: torch.Tensor) -> torch.Tensor:
        """Of a vector of which every rank has a share, from the length of this rank's, a scalar."""
        square = own.double().square()
        self._sum(square)
        return square.sqrt().to(own.dtype)

    def join(self, own: torch.Tensor, begin: int, total: int) -> torch.Tensor:
        """The rows of all ranks, [total, H], of which `own` [R, H] start at `begin`. Only they pass a gradient on."""
        rows = torch.zeros(total, own.shape[1], device=own.device)
        rows[begin : begin + len(own)] = own.detach()
        self._sum(rows)
        rows = rows.to(own.dtype)
        return torch.cat([rows[:begin], own, rows[begin + len(own) :]])

    def gather(self, own: torch.Tensor, rows: int) -> torch.Tensor:
        """A tensor of `rows` from the ranks' shares of it, cut as `weights.Rows` says; nothing on the others.

        In main memory, where the shares must be.
        """
        padded = own.new_zeros(-(-rows // self.size), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(self.size)] if self.first else []
        with self.watched():
            dist.gather(padded, parts or None)
        return torch.cat(parts)[:rows] if parts else own[:0]

    def _sum_bucket(self, bucket: Sequence[torch.Tensor]) -> None:
        if len(bucket) == 1:
            self._sum(bucket[0])
            return
        flat = torch.cat([gradient.view(-1) for gradient in bucket])
        self._sum(flat)
        for gradient, summed in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def _sum(self, values: torch.Tensor) -> None:
        with self.watched():
            dist.all_reduce(values)

    def _send(self, do: Callable[[dist.Store], Any]) -> Any:
        assert self.store is not None
        with self.watched():
            return do(self.store)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around what is sent: raises `Lost` where that fails."""
        try:
            yield
        except RuntimeError as error:
            raise Lost(self._why(error)) from error

    def _why(self, error: RuntimeError) -> str:
        """The other rank's own words, where it had time for some."""
        assert self.store is not None
        try:
            if self.store.check(["failed"]):
                return self.store.get("failed").decode()
        except RuntimeError:  # it was the first rank, and the store went with it
            pass
        return f"another process of this stage was killed or does not answer ({reason(error)})"


#: A stage that is one process.
ALONE = Group()


def _buckets(gradients: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Neighbours, together up to BUCKET numbers; a larger one alone."""
    bucket: list[torch.Tensor] = []
    filled = 0
    for gradient in gradients:
        if bucket and filled + gradient.numel() > BUCKET:
            yield bucket
            bucket, filled = [], 0
        bucket.append(gradient)
        filled += gradient.numel()
    if bucket:
        yield bucket


@contextmanager
def joined(place: Place | None) -> Iterator[Group]:
    """The group of this process, until the block ends. Raises `UserError` when the ranks do not find each other."""
    if place is None or place.size == 1:
        yield ALONE
        return
    _take_device(place)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store = dist.TCPStore(place.address, place.port, place.size, place.rank == 0, JOIN, wait_for_workers=False)
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=ANSWER)
    except RuntimeError as error:
        where = f"{place.size} processes at {place.address}:{place.port}"
        raise UserError(f"rank {place.rank} did not find the others ({where}): {reason(error)}") from error
    store.set_timeout(ANSWER)
    group = Group(place.rank, place.size, dist.PrefixStore("xstilts", store))
    print(f"rank {place.rank} of {place.size}, process {os.getpid()}, by {backend}", flush=True)
    yield group  # after an error nothing is waited for: the process ends, and the others notice
    _leave(group)
    dist.destroy_process_group()


def _leave(group: Group) -> None:
    """The store lives in the first rank's process, which therefore ends last: the others may still be listening."""
    assert group.store is not None
    try:
        if group.first:
            group.store.wait([f"left/{rank}" for rank in range(1, group.size)], LEAVE)
        else:
            group.store.set(f"left/{group.rank}", "")
    except RuntimeError as error:
        print(f"rank {group.rank} left without the others: {reason(error)}", flush=True)


def _take_device(place: Place) -> None:
    """One GPU of those that this process was given: its only one, or the one with its number on the node."""
    seen = torch.cuda.device_count()
    index = place.local if seen > 1 else 0
    if seen and index >= seen:
        raise UserError(f"{seen} GPUs on this node, and process {place.local + 1} there wants one of its own")
    if seen:
        torch.cuda.set_device(index)
