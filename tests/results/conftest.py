"""What every test of results may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from laboratory import Lab

from xstilts.store import Store


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Store(tmp_path / "store"))
