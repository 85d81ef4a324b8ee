"""A cell once more: new attempts beside the old ones, a comparison, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from launching import copy, here, record, results, scores, stage
from xstilts import files

CELL = ["model=xl", "inter=mnli", "target=xnli"]
INTER, TARGET = "xl > toy_pretrain > mnli", "xl > toy_pretrain > mnli > mnli"


def test_from_the_target_with_weights_that_were_deleted(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = copy(reference, tmp_path / "store")
    inter, target, evaluation = (stage(store, label) for label in (INTER, TARGET, f"{TARGET} : xnli"))
    files.remove(inter.root / "attempts/1/checkpoint")
    before = (store / "results.csv").read_bytes()
    markers = [folder.marker.read_bytes() for folder in (target, evaluation)]

    assert here(store, *CELL, "do=rerun", "from=target") == 0
    said = capsys.readouterr().out
    assert "old is attempt 1, new is attempt 2" in said
    assert said.count("+0.00") == said.count("accuracy ") > 10, "equal numerics give equal scores"
    assert [folder.marker.read_bytes() for folder in (target, evaluation)] == markers
    assert [len(folder.attempts()) for folder in (inter, target, evaluation)] == [2, 2, 2]
    assert record(target.root / "attempts/2")["sources"] == {"init": f"{inter.root.name}/2"}
    assert record(evaluation.root / "attempts/2")["sources"] == {"checkpoint": f"{target.root.name}/2"}
    assert scores(store, f"{TARGET} : xnli") == (evaluation.root / "attempts/2/scores.parquet").read_bytes()

    assert here(store, "do=report") == 0
    assert (store / "results.csv").read_bytes() == before
    assert results(store) == results(reference)
