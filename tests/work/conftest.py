"""One small library for all tests of this room."""

from __future__ import annotations

import pytest

import tiny
from xstilts.data.library import Library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return tiny.library(tmp_path_factory.mktemp("library"))
