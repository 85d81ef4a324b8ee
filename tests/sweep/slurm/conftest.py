"""A store and a fake cluster for every test here that wants them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake import FakeSlurm
from house import House

from xstilts.store import Store
from xstilts.sweep.slurm import array, journal, queue, snapshot, submit


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    slurm = FakeSlurm(tmp_path / "slurm.json")
    monkeypatch.setattr(queue, "call", slurm.call)
    monkeypatch.setattr(queue, "present", lambda: True)
    monkeypatch.setattr(queue, "FRESH", -1.0)
    monkeypatch.setattr(array, "_submit", slurm.submit)
    monkeypatch.setattr(snapshot, "take", lambda store: Path("code"))
    monkeypatch.setattr(submit, "priorities", lambda plan, needed: dict.fromkeys(needed, 0.0))
    monkeypatch.delenv(journal.WAVE, raising=False)
    queue.config.cache_clear()
    store = Store(tmp_path / "store")
    store.check_writable()
    yield House(store, slurm)
    queue.config.cache_clear()
    queue._seen.clear()
