"""The keys of `hydra/launcher=slurm`: those of hydra-submitit-launcher, so that its users' blocks work, and ours."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf


class Mode(Enum):
    """Who gives stages to whom."""

    dag = "each stage is a job of its own, and waits in the queue for those it starts from"
    pool = "`nodes` jobs of a whole node each take stage after stage from the store"


@dataclass
class SlurmKeys(SlurmQueueConf):
    """See `conf/hydra/launcher/slurm.yaml`, which says what each is for."""

    _target_: str = "hydra_plugins.xstilts.launcher.SlurmLauncher"
    name: str = "xstilts"
    mode: Mode = Mode.dag
    max_jobs: int | None = None
    stages: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)


# In a group of its own: it is a launcher's schema, and no launcher that one could choose.
ConfigStore.instance().store(group="schema", name="slurm", node=SlurmKeys(), provider="xstilts")
