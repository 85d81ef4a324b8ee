"""Features come back as they were made, are made once, and never in a state that nobody made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from xstilts.data import kept
from xstilts.data.batches import Features, gather


def some(first: int = 0) -> Features:
    return Features(
        tokens=np.arange(first, first + 6, dtype=np.int32),
        starts=np.array([0, 2, 5, 6]),
        units=np.array([0, 1, 3]),
        item=np.array([0, 1]),
        fields={"labels": ("unit", np.array([3, 4])), "rate": ("token", np.linspace(0, 1, 6, dtype=np.float32))},
        cut=7,
    )


class Maker:
    def __init__(self, first: int = 0) -> None:
        self.first, self.times = first, 0

    def __call__(self) -> Features:
        self.times += 1
        return some(self.first)


def same(a: Features, b: Features) -> bool:
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in kept.ARRAYS)
    fields = all(a.fields[n][0] == b.fields[n][0] and np.array_equal(a.fields[n][1], b.fields[n][1]) for n in a.fields)
    return arrays and a.fields.keys() == b.fields.keys() and fields and a.cut == b.cut


def test_made_once_and_the_same_ever_after(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert same(kept.features(tmp_path, {"parts": ["a"]}, make), some())
    assert make.times == 1
    found = kept.features(tmp_path, {"parts": ["a"]}, make)
    batch = gather(found, np.array([1, 0]))
    assert batch.tokens.tolist() == [2, 3, 4, 5, 0, 1]
    batch.tokens.zero_()  # a batch is its own; what is mapped cannot be written
    assert same(kept.features(tmp_path, {"parts": ["a"]}, make), some())
    with pytest.raises(ValueError, match="read-only"):
        found.tokens[0] = 1


def test_other_inputs_or_other_code_are_other_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.features(tmp_path, {"parts": ["a"]}, Maker())
    assert same(kept.features(tmp_path, {"parts": ["b"]}, Maker(5)), some(5))
    monkeypatch.setattr(kept, "_code", lambda: "changed")
    assert same(kept.features(tmp_path, {"parts": ["a"]}, Maker(9)), some(9))


@pytest.mark.parametrize("name", ["about.json", "tokens.npy", "field-labels.npy"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_is_not_whole_is_made_again(tmp_path: Path, name: str, damage: str) -> None:
    kept.features(tmp_path, {}, Maker())
    (path,) = tmp_path.glob(f"features/*/{name}")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    make = Maker()
    for _ in range(2):
        assert same(kept.features(tmp_path, {}, make), some())
    assert make.times == 1


def test_another_stage_may_be_faster(tmp_path: Path) -> None:
    def make() -> Features:
        kept.features(tmp_path, {}, Maker())
        return some()

    assert same(kept.features(tmp_path, {}, make), some())
    assert len(list((tmp_path / "features").iterdir())) == 1, "nothing temporary is left"


def test_a_library_that_cannot_be_written_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    make = Maker()
    assert same(kept.features(tmp_path, {}, make), some())
    assert "features are not kept" in capsys.readouterr().out
    assert make.times == 1


def test_the_folder_may_be_deleted(tmp_path: Path) -> None:
    found = kept.features(tmp_path, {}, Maker())
    shutil.rmtree(tmp_path / "features")
    assert same(found, some()), "even under a stage that reads it"
    assert same(kept.features(tmp_path, {}, Maker()), some())
