"""Writing whole or not at all."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from xstilts import files


class Refused(OSError):
    pass


def refuse(*_: Any, **__: Any) -> None:
    raise Refused("no")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(Refused):
        files.write_bytes(path, b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_what_is_there_is_not_created_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert files.create_bytes(path, b"one")
    assert not files.create_bytes(path, b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_of_many_creators_one_is_told_so(tmp_path: Path) -> None:
    for turn in range(10):
        path, barrier = tmp_path / str(turn), threading.Barrier(6)

        def create(who: int, path: Path = path, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return files.create_bytes(path, bytes([who]) * 1000)

        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(create, range(6)))
        assert sum(won) == 1
        assert path.read_bytes() == bytes([won.index(True)]) * 1000


def test_readers_see_one_whole_version_or_another(tmp_path: Path) -> None:
    path, stop = tmp_path / "a", threading.Event()
    files.write_bytes(path, b"0" * 5000)
    seen = set()

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            seen.add((len(content), len(set(content))))

    reader = threading.Thread(target=read)
    reader.start()
    for digit in b"123456789":
        files.write_bytes(path, bytes([digit]) * 5000)
    stop.set()
    reader.join()
    assert seen == {(5000, 1)}


def test_json_there_and_back(tmp_path: Path) -> None:
    value = {"no": 1e-05, "ключ": ["ä", None, True]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert "ключ" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    with files.folder(path) as inside:
        (inside / "x").write_text("1")
        (inside / "y").mkdir()
        (inside / "y" / "z").write_text("2")
        assert not path.exists()
        assert inside.parent == path.parent  # a rename does not cross file systems
    assert (path / "y" / "z").read_text() == "2"
    assert names(path.parent) == ["a"]


def test_a_folder_is_replaced_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for name in ("one", "two"):
        with files.folder(path) as inside:
            (inside / name).write_text("")
    assert names(path) == ["two"]
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_folder_whose_block_fails_leaves_the_old_one(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a"
    with files.folder(path) as inside:
        (inside / "one").write_text("")

    def fail() -> None:
        with files.folder(path) as inside:
            (inside / "two").write_text("")
            raise failure

    with pytest.raises(failure):
        fail()
    assert names(path) == ["one"]
    assert names(tmp_path) == ["a"]


def test_between_the_renames_the_old_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rename = tmp_path / "a", os.rename
    found: list[list[str]] = []

    def watched(source: Path, target: Path) -> None:
        rename(source, target)
        whole = files.recover(path)
        assert whole is not None
        found.append(names(whole))

    assert files.recover(path) is None
    monkeypatch.setattr(os, "rename", watched)
    for name in ("one", "two"):
        with files.folder(path) as inside:
            (inside / name).write_text("")
    assert found == [["one"], ["one"], ["two"]]


def test_a_folder_lost_between_the_renames_is_written_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "a", tmp_path / ".a.old"
    with files.folder(path) as inside:
        (inside / "one").write_text("")
    path.rename(old)  # killed in between
    assert files.recover(path) == old
    with files.folder(path) as inside:
        (inside / "two").write_text("")
    assert files.recover(path) == path
    assert names(tmp_path) == ["a"]
    assert names(path) == ["two"]


def test_removing_counts_bytes_and_forgives_who_is_late(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(b"12345")
    (tmp_path / "y").write_bytes(b"123")
    assert files.remove(tmp_path / "a") == 5
    assert files.remove(tmp_path / "y") == 3
    assert files.remove(tmp_path / "a") == 0
    assert names(tmp_path) == []


def test_removing_again_what_a_kill_left_half_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    for _ in range(2):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x").write_text("1")
        with monkeypatch.context() as killed:
            killed.setattr(shutil, "rmtree", refuse)
            with pytest.raises(Refused):
                files.remove(tmp_path / "a")
        assert not (tmp_path / "a").exists()
    assert all(name.endswith(".gone") for name in names(tmp_path))
