"""Hydra's composition, with complaints for people."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from xstilts.config import explain
from xstilts.errors import UserError
from xstilts.task import CONF


def loader() -> ConfigLoader:
    """Hydra's own loader over `conf/` and every installed plugin."""
    setup_globals()
    return ConfigLoaderImpl(create_automatic_config_search_path(None, None, str(CONF)))


def compose(
    found: ConfigLoader, overrides: Sequence[str], config: str = "config", mode: RunMode = RunMode.RUN
) -> DictConfig:
    """A whole configuration; sweeps are left at their defaults in MULTIRUN mode. Raises `UserError` in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return found.load_configuration(config, list(overrides), mode, validate_sweep_overrides=False)
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            raise UserError(_line(error)) from None


def _line(error: BaseException) -> str:
    """What went wrong and why, without Hydra's search path and hints."""
    below = error.__context__
    if (file := re.match("In '(.+)': .* raised while composing", str(error))) and isinstance(
        below, OmegaConfBaseException
    ):
        return f"conf/{file[1]}.yaml: {explain(below)}"
    said = []
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split()) if isinstance(cause, yaml.YAMLError) else str(cause).strip().split("\n")[0]
        said += [text.rstrip(".")] if text else []
        cause = cause.__cause__
    return ": ".join(dict.fromkeys(said)) or type(error).__name__
