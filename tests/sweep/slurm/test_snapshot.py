"""The code of the day of submission."""

from __future__ import annotations

from pathlib import Path

import pytest

from xstilts.sweep.slurm import snapshot


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    for name in (
        "src/xstilts/a.py",
        "src/xstilts/__pycache__/a.pyc",
        "src/x.egg-info/y",
        "conf/.hidden",
        "conf/c.yaml",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    monkeypatch.setattr(snapshot, "ROOT", root)
    return root


def test_code_and_configuration_and_nothing_else(code: Path, tmp_path: Path) -> None:
    place = snapshot.take(tmp_path / "store")
    found = sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file())
    assert found == ["conf/c.yaml", "src/xstilts/a.py"]
    assert (place / "conf/c.yaml").read_text() == "conf/c.yaml"


def test_equal_code_is_kept_once(code: Path, tmp_path: Path) -> None:
    first = snapshot.take(tmp_path / "store")
    assert snapshot.take(tmp_path / "store") == first
    (code / "src/xstilts/a.py").write_text("changed")
    second = snapshot.take(tmp_path / "store")
    assert second != first
    assert (first / "src/xstilts/a.py").read_text() == "src/xstilts/a.py"


def test_a_snapshot_of_a_snapshot_is_itself(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = snapshot.take(tmp_path / "store")
    monkeypatch.setattr(snapshot, "ROOT", first)
    assert snapshot.take(tmp_path / "store") == first
