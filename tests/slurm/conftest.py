"""Tests on a real cluster: `make slurm-up` first, or `make test-slurm` for all of it. Skipped where none is running."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    found = Cluster()
    if not found.running("slurmctld"):
        pytest.skip("no test cluster is running: `make slurm-up` starts one")
    return found


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Path:
    """The toy world, filled once for all tests."""
    place = tmp_path_factory.mktemp("library")
    lab = Lab(cluster, place / "store", place / "library")
    filled = lab.launch(
        "model=base,large", "inter=mnli,squad", "target=tatoeba,bucc,mlqa,xquad", "do=fetch", slurm=False
    )
    assert filled.returncode == 0, filled.output
    return lab.library


@pytest.fixture
def lab(cluster: Cluster, library: Path, tmp_path: Path) -> Iterator[Lab]:
    """A fresh store and an empty queue."""
    yield Lab(cluster, tmp_path / "store", library)
    emptied(cluster)


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Path]:
    """A folder that other users see, unlike pytest's own."""
    made = cluster.root / "place"
    made.mkdir()
    yield made
    emptied(cluster)
    shutil.rmtree(made)


def emptied(cluster: Cluster) -> None:
    lab = Lab(cluster, Path(), Path())
    if jobs := lab.queue():
        cluster.run("scancel", *jobs, check=False)
        lab.drained(60)
