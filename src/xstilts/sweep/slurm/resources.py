"""What a stage asks Slurm for: by its model and kind, never part of what it is.

The launcher's own keys hold for every stage; `stages.MODEL.KIND` (a model's name or `any`, then train or evaluate)
replaces some of them. A stage whose last job ran out of memory or time asks for more, within `limits`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xstilts.errors import UserError, choices
from xstilts.stage import Stage
from xstilts.sweep.asked import Asked

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
        return {key: value for key, value in found.items() if value is not None}

    def asked(self, stage: Stage) -> Asked:
        """What a stage takes of the cluster, for the price of a plan."""
        shape = self.shape(stage)
        gres = re.match(r"gpu(?::[^:]+)??(?::(\d+))?$", str(shape.get("gres") or ""))
        each = shape.get("gpus_per_node") or (int(gres[1] or 1) if gres else 0)
        memory = shape["mem_gb"] * 1e9 if shape.get("mem_gb") else None
        return Asked(str(shape.get("partition") or "default"), each * shape.get("nodes", 1), memory)

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
