"""Hydra's sweeper, handing over to `xstilts.sweep.command`. Hydra imports this at every start: keep it light."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class XstiltsSweeper(Sweeper):
    """What `hydra/sweeper=xstilts` makes."""

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.name = str(config.hydra.job.config_name)
        self.launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> Any:
        from xstilts.sweep.command import command

        return command(arguments, self.params, self.loader, self.name, self.launcher)
