"""What a stage asks Slurm for: by its model and kind, never part of what it is.

The launcher's own keys hold for every stage; `stages.MODEL.KIND` (a model's name or `any`, then train or evaluate)
replaces some of them. A stage whose last job ran out of memory or time asks for more, within `limits`. A training of
several tasks (`nodes` x `tasks_per_node`) runs on all of them together, a GPU each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xstilts.errors import UserError, choices
from xstilts.stage import Stage
from xstilts.sweep.asked import Asked
from xstilts.sweep.slurm import ranks

#: Keys of the launcher that are no resource of a job.
OURS = ("_target_", "submitit_folder", "name", "max_num_timeout", "mode", "stages", "limits", "max_jobs")
GROWS = {"OUT_OF_MEMORY": "mem_gb", "TIMEOUT": "timeout_min", "DEADLINE": "timeout_min"}
FACTOR = 2


@dataclass(frozen=True)
class Settings:
    """The launcher's keys, as plain values."""

    keys: dict[str, Any]

    @property
    def common(self) -> dict[str, Any]:
        return {key: value for key, value in self.keys.items() if key not in OURS and value is not None}

    @property
    def tries(self) -> int:
        """How often a job may go back to the queue."""
        return int(self.keys["max_num_timeout"])

    def shape(self, stage: Stage) -> dict[str, Any]:
        """What submitit is asked for. Raises `UserError` on a key that no job has."""
        found = self.common
        for model in ("any", stage.about["model"]):
            for key, value in (self.keys["stages"].get(model) or {}).get(stage.kind, {}).items():
                if key not in self.keys or key in OURS:
                    valid = [k for k in self.keys if k not in OURS]
                    raise UserError(f"hydra.launcher.stages.{model}.{stage.kind}.{key}: {choices(key, valid)}")
                found[key] = value
        shape = {key: value for key, value in found.items() if value is not None}
        _check_tasks(stage, shape)
        return shape

    @property
    def pooled(self) -> bool:
        """Whether whole nodes take stage after stage (mode=pool)."""
        return str(getattr(self.keys["mode"], "name", self.keys["mode"])) == "pool"

    def asked(self, stage: Stage) -> Asked:
        """What a stage takes of the cluster, for the price of a plan. A pool gives each one of its GPUs."""
        shape = self.common if self.pooled else self.shape(stage)
        memory = shape["mem_gb"] * 1e9 if shape.get("mem_gb") else None
        partition, gpus = str(shape.get("partition") or "default"), _gpus(shape)
        device = "cuda" if gpus and stage.numerics["device"] != "cpu" else "cpu"
        if self.pooled:
            return Asked(partition, min(gpus, 1), memory, device=device)
        return Asked(partition, gpus * shape.get("nodes", 1), memory, ranks.count(shape), device)

    def check(self) -> None:
        """Refuse a misspelt kind of stage before anything is submitted."""
        for model, kinds in self.keys["stages"].items():
            for kind in kinds or {}:
                if kind not in ("train", "evaluate"):
                    raise UserError(f"hydra.launcher.stages.{model}.{kind}: {choices(kind, ['train', 'evaluate'])}")

    def more(self, shape: dict[str, Any], last: Mapping[str, Any], ending: str | None) -> dict[str, Any]:
        """`shape`, or more of what the last job did not have enough of, up to the limit."""
        key = GROWS.get(ending or "")
        if key is None:
            return shape
        before = last.get("shape", {}).get(key) or shape.get(key)
        if before is None:
            return shape
        wanted = before * FACTOR
        limit = self.keys["limits"].get(key)
        return {**shape, key: max(shape.get(key) or 0, min(wanted, limit) if limit else wanted)}


def _gpus(shape: Mapping[str, Any]) -> int:
    """GPUs a node, in whichever of Slurm's ways they are asked for."""
    if gres := re.match(r"gpu(?::[^:]+)??(?::(\d+))?$", str(shape.get("gres") or "")):
        return int(gres[1] or 1)
    tasks = shape.get("tasks_per_node") or 1
    return int(shape.get("gpus_per_node") or (shape.get("gpus_per_task") or 0) * tasks)


def _check_tasks(stage: Stage, shape: Mapping[str, Any]) -> None:
    """Raises `UserError` for tasks that would have nothing to do, or no GPU of their own, or several."""
    if ranks.count(shape) == 1:
        return
    if stage.kind != "train":
        raise UserError(
            f"{stage.label}: an evaluation is one process, and nodes={shape.get('nodes', 1)} "
            f"tasks_per_node={shape.get('tasks_per_node', 1)}: set them below hydra.launcher.stages.MODEL.train"
        )
    tasks, gpus = shape.get("tasks_per_node", 1), _gpus(shape)
    if gpus not in (0, tasks):
        raise UserError(
            f"{stage.label}: {tasks} tasks and {gpus} GPUs a node; several tasks train on a GPU each: "
            "set tasks_per_node and gpus_per_node to the same number"
        )
