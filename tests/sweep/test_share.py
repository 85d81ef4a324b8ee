"""A store that a group shares: whatever anybody makes in it, the others may read, write and replace."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from xstilts import files
from xstilts.errors import UserError
from xstilts.store import Store
from xstilts.sweep import share

GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """A umask that lets nobody else in, such as some sites set; what a test changes is put back."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def modes(root: Path) -> set[str]:
    return {stat.filemode(path.stat().st_mode) for path in [root, *root.rglob("*")]}


def test_a_shared_store_stays_open_to_its_group(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    share.give(store.root, GROUP)
    files.follow_group(store.root)
    store.check_writable()
    files.write_json(store.root / "stages/one.json", {})
    with files.folder(store.root / "stages/two") as fresh:
        (fresh / "weights").write_bytes(b"w")
        (fresh / "weights").chmod(0o600)  # as safetensors does
    assert modes(store.root) == {"drwxrws---", "-rw-rw----"}


def test_what_was_private_is_given_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.check_writable()
    files.write_json(store.root / "sweeps/one.json", {})
    assert share.give(store.root, GROUP) == 4
    assert share.give(store.root, GROUP) == 0
    assert modes(store.root) == {"drwxrws---", "-rw-rw----"}


def test_a_private_store_stays_private(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    files.follow_group(store.root)  # which is not there yet
    store.check_writable()
    files.follow_group(store.root)
    files.write_json(store.root / "sweeps/one.json", {})
    assert modes(store.root) == {"drwx------", "-rw-------"}


def test_a_group_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such group"):
        share.give(tmp_path / "store", "nobodys-group")


def test_a_group_that_i_am_not_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)
    with pytest.raises(UserError, match="is not in that group"):
        share.give(tmp_path / "store", GROUP)
