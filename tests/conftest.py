"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Several processes on few cores: one thread each is faster, and bit-exactness is only claimed at equal threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples every time, and no failure because a machine was busy.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def slices() -> Path:
    """The folder of real data slices in their original formats, where there is one."""
    folder = os.environ.get("XSTILTS_DATA")
    if not folder:
        pytest.skip("XSTILTS_DATA names no folder of data slices")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"XSTILTS_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a small grid done by uninterrupted commands; shared by all tests, which copy what they change."""
    import launching

    base = tmp_path_factory.getbasetemp()
    store = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "reference"
    with launching.once(store) as first:
        if first:
            for grid in (launching.FIRST, launching.GRID):
                code, text = launching.launch(store, *grid, "keep=all")
                assert code == 0, text
                (store / f"{'first' if grid is launching.FIRST else 'second'}.txt").write_text(text)
    return store
