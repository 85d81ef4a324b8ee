"""A store on a full disk, on a disk that is only read, and of somebody else: named, not crashed on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launching import FIRST, GRID, ROOT, copy, here, launch, results, stage
from xstilts.store import Store

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A small disk of its own; a function that remounts it with options. Only root may, and not in every container."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may look into, unlike pytest's own; skips where nobody else can run Python."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("running as another user takes root and setpriv")
    probe = [*AS_NOBODY, sys.executable, "-c", "import yaml, hydra, xstilts"]
    if subprocess.run(probe, capture_output=True, cwd=ROOT).returncode:
        pytest.skip("this Python cannot be run by another user")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What lies below a folder, for comparison: times and contents."""
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in sorted(folder.rglob("*"))}


def scores(store: Path, label: str) -> bytes:
    done = stage(store, label).published
    assert done is not None
    return (done / "scores.parquet").read_bytes()


@pytest.mark.slow
def test_a_disk_that_becomes_full(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = stage(reference, "xl > toy_pretrain").published
    assert done is not None
    checkpoint = sum(p.stat().st_size for p in (done / "checkpoint").iterdir())
    with mounted(tmp_path / "disk", f"{checkpoint + (2 << 20)}"):
        store, ballast = tmp_path / "disk/store", tmp_path / "disk/ballast"
        line = [*FIRST, f"library={reference / 'library/toy'}", "keep=all", "sweep=full"]
        ballast.write_bytes(bytes(checkpoint + (1 << 20)))  # room for everything but a checkpoint
        code, text = launch(store, *line)
        assert code == 1
        assert "the disk is full (No space left on device): free some space, then the same command goes on" in text
        assert "1 failed, 1 blocked by them" in text
        assert f"log of xl > toy_pretrain: {stage(store, 'xl > toy_pretrain').root}/attempts/1/log.txt\n" in text
        assert "Traceback" not in text
        folder = stage(store, "xl > toy_pretrain")
        assert not folder.marker.exists()
        assert not list(store.rglob(".*.tmp"))
        assert not (folder.root / "attempts/1/checkpoint").exists()
        assert here(store, "do=status", "sweep=full") == 0
        assert "the disk is full" in capsys.readouterr().out

        rest = os.statvfs(store)
        ballast.write_bytes(bytes(ballast.stat().st_size + rest.f_bavail * rest.f_frsize))
        assert here(store, *line) == 2, "not a byte left"
        assert "cannot be written (No space left on device): the disk is full; free some" in capsys.readouterr().err

        ballast.unlink()
        code, text = launch(store, *line)
        assert code == 0, text
        label = "xl > toy_pretrain : tatoeba"
        assert scores(store, label) == scores(reference, label)


def test_a_disk_that_is_only_read(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mounted(tmp_path / "disk", "256m") as remount:
        store = copy(reference, tmp_path / "disk/store")
        remount("ro")
        assert here(store, *GRID) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert f"the store {store} cannot be written (Read-only file system): its file system is read-only" in said.err
        assert "store.read=" in said.err
        assert here(store, "do=status") == 0
        assert here(store, *GRID, "do=plan") == 0
        assert "0 to run" in capsys.readouterr().out
        assert here(store, *GRID, "do=report") == 2
        assert capsys.readouterr().err == f"error: {store}/results.parquet: Read-only file system\n"

        # Reading it, somebody else's work is used and never touched.
        before = everything(store)
        mine = tmp_path / "mine"
        line = [*GRID, f"store.read=[{store}]", f"library={store / 'library/toy'}"]
        assert here(mine, *line) == 0
        assert "nothing to do: all 7 stages" in capsys.readouterr().out
        assert everything(store) == before
        assert not list(Store(mine).stages())


def test_a_store_of_another_user(reference: Path, open_folder: Path) -> None:
    store = copy(reference, open_folder / "store")
    mine = open_folder / "mine"
    mine.mkdir()
    os.chown(mine, 65534, 65534)
    before = everything(store)
    code, text = launch(store, *GRID, prefix=AS_NOBODY)
    assert (code, text.count("\n")) == (2, 1)
    assert f"the store {store} cannot be written (Permission denied): {store} belongs to root" in text

    # What it holds is used in a store of one's own.
    line = [*GRID, f"library={store / 'library/toy'}", f"store.read=[{store}]"]
    code, text = launch(mine / "store", *line, prefix=AS_NOBODY)
    assert code == 0, text
    assert "nothing to do: all 7 stages" in text
    assert results(mine / "store") == results(reference)
    assert everything(store) == before

    (store / "sweeps").chmod(0o700)
    code, text = launch(store, "do=status", prefix=AS_NOBODY)
    assert code == 2
    assert f"error: {store}/sweeps" in text
    assert "Permission denied" in text
    assert "Traceback" not in text
