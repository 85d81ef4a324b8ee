"""The tasks of a job that do one stage together: which one this is, and where they meet.

`nodes` and `tasks_per_node` say how many `srun` starts, all with the same call. Which GPUs a task may use is Slurm's to
say: CUDA_VISIBLE_DEVICES is left as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xstilts.sweep.slurm import queue

if TYPE_CHECKING:
    from xstilts.model.parallel import Place

#: Below what Linux gives to outgoing connections.
FIRST_PORT, PORTS = 10_000, 20_000


def count(shape: Mapping[str, Any]) -> int:
    """How many tasks a job of this shape has."""
    return int(shape.get("nodes") or 1) * int(shape.get("tasks_per_node") or 1)


def place() -> Place | None:
    """Of this task, from what srun has said to it; None where it is the only one.

    They meet at the first node of the job, at a port that follows from the job's id and how often it was started: what
    is left of an earlier start is not found by a later one.
    """
    from xstilts.model.parallel import Place

    size = int(os.environ.get("SLURM_NTASKS", 1))
    if size == 1:
        return None
    rank, local = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_LOCALID"])
    nodes = queue.call("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
    start = 7 * int(os.environ["SLURM_JOB_ID"]) + int(os.environ.get("SLURM_RESTART_COUNT", 0))
    return Place(rank, size, local, nodes[0], FIRST_PORT + start % PORTS)
