"""Command lines become plans, in this process and with nothing but planning."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Planned
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from xstilts.sweep.check import check
from xstilts.sweep.command import Command
from xstilts.sweep.compose import compose, loader
from xstilts.sweep.plan import Plan


@pytest.fixture(scope="session")
def found() -> ConfigLoader:
    return loader()


@pytest.fixture
def planned(tmp_path: Path, found: ConfigLoader) -> Planned:
    """The plan of a command line over a store in a fresh folder, unless another one is typed."""

    def plan(*typed: str) -> Plan:
        store = [] if any(t.startswith("store") for t in typed) else [f"store={tmp_path / 'store'}"]
        arguments = check([*typed, *store])
        named = any(t.startswith("experiment") for t in typed)
        params = compose(found, arguments, mode=RunMode.MULTIRUN).hydra.sweeper.params if named else {}
        return Command(arguments, params, found, "config").planned()

    return plan
