"""Hydra's side of our launchers: they execute a plan, handed over by our sweeper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from xstilts.errors import UserError

if TYPE_CHECKING:
    from xstilts.stage import Stage
    from xstilts.sweep.asked import Asked
    from xstilts.sweep.outcome import Outcome
    from xstilts.sweep.plan import Plan
    from xstilts.sweep.sweeps import Sweep


class WorkstationLauncher(Launcher):
    """What `hydra/launcher=workstation` makes."""

    def __init__(self, workers: int | None = None, tries: int = 1) -> None:
        self.workers, self.tries = workers, tries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        pass

    def execute(self, plan: Plan, sweep: Sweep) -> Outcome:
        """Run what is missing of the plan."""
        from xstilts.sweep.workstation import execute

        return execute(plan, sweep, workers=self.workers, tries=self.tries)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        raise UserError("hydra/launcher=workstation executes plans: use it with hydra/sweeper=xstilts")


class SlurmLauncher(Launcher):
    """What `hydra/launcher=slurm` makes; its keys are those of `hydra_plugins.xstilts.keys.SlurmKeys`."""

    def __init__(self, **keys: Any) -> None:
        self.keys = {name: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for name, v in keys.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        pass

    def execute(self, plan: Plan, sweep: Sweep) -> Outcome:
        """Queue what is missing of the plan, and return."""
        from xstilts.sweep.slurm.launch import execute

        return execute(plan, sweep, self.keys)

    def asked(self, stage: Stage) -> Asked:
        """What a stage would take."""
        from xstilts.sweep.slurm.resources import Settings

        return Settings(self.keys).asked(stage)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        raise UserError("hydra/launcher=slurm executes plans: use it with hydra/sweeper=xstilts")


__all__: list[Any] = ["SlurmLauncher", "WorkstationLauncher"]
