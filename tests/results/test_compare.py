"""Two evaluations of one cell, and what seeds alone would do."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from laboratory import Lab, plain

from xstilts.errors import DataError
from xstilts.results.compare import compare, spread
from xstilts.results.table import table


def written(path: Path, values: dict[str, float | None], version: str = "v1") -> Path:
    rows = [
        {"language": language, "split": "test", "metric": "accuracy", "version": version, "value": value, "count": 10}
        for language, value in values.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def spreads(**sd: float) -> pd.DataFrame:
    rows = [(x, "test", "accuracy", "v1", value, 3) for x, value in sd.items()]
    return pd.DataFrame(rows, columns=["language", "split", "metric", "version", "sd", "seeds"])


def test_the_same_scores_differ_by_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a", {"sw": 61.0, "de": 70.5})
    found = compare(path, path)
    assert found["difference"].tolist() == [0.0, 0.0]
    assert found["language"].tolist() == ["de", "sw"]
    assert found["beyond"].isna().all(), "nothing is known of seeds"
    assert found["seeds"].tolist() == [0, 0]


def test_differences_against_two_standard_deviations(tmp_path: Path) -> None:
    old = written(tmp_path / "old", {"de": 70.0, "sw": 60.0, "ur": 50.0, "qu": 40.0})
    new = written(tmp_path / "new", {"de": 72.0, "sw": 57.0, "ur": 50.0, "qu": 90.0})
    found = compare(old, new, spreads(de=1.0, sw=1.0, ur=0.0)).set_index("language")
    assert found["difference"].to_dict() == {"de": 2.0, "qu": 50.0, "sw": -3.0, "ur": 0.0}
    assert found["beyond"].drop("qu").to_dict() == {"de": False, "sw": True, "ur": False}
    assert pd.isna(found.loc["qu", "beyond"])
    assert found["seeds"].to_dict() == {"de": 3, "qu": 0, "sw": 3, "ur": 3}


def test_a_single_seed_has_no_spread(tmp_path: Path) -> None:
    path = written(tmp_path / "a", {"sw": 61.0})
    assert compare(path, path, spreads(sw=float("nan")))["beyond"].isna().all()


def test_scores_of_one_side_only(tmp_path: Path) -> None:
    old = written(tmp_path / "old", {"de": 70.0, "sw": None})
    new = written(tmp_path / "new", {"sw": 57.0, "ur": 50.0})
    found = compare(old, new, spreads(de=1.0, sw=1.0, ur=1.0))
    assert found["language"].tolist() == ["de", "sw", "ur"]
    assert found["old"].notna().tolist() == [True, False, False]
    assert found["new"].notna().tolist() == [False, True, True]
    assert found["difference"].isna().all()
    assert found["beyond"].isna().all()


def test_versions_of_a_metric_are_not_compared(tmp_path: Path) -> None:
    found = compare(written(tmp_path / "a", {"sw": 1.0}, "v1"), written(tmp_path / "b", {"sw": 2.0}, "v2"))
    assert len(found) == 2
    assert found["difference"].isna().all()


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a", {"sw": 1.0})
    (tmp_path / "b").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=rf"{tmp_path}/b: not the scores"):
        compare(path, tmp_path / "b")


def test_spread_is_over_the_seeds_of_the_same_cell(lab: Lab) -> None:
    def value(cell: dict[str, Any], language: str, split: str, metric: str) -> float | None:
        if language == "sw" and cell["seed"] == 3:
            return None
        return plain(cell, language, split, metric) + 7.0 * cell["seed"] ** 2

    for seed in (0, 1, 3):
        mine = lab.cell("tatoeba", "mnli", seed=seed, value=value)
    lab.cell("tatoeba", "none", seed=5)
    lab.cell("tatoeba", "mnli", "large", seed=6)
    lab.cell("tatoeba", "mnli", recipe="matched", seed=7)
    lab.sweep()
    found = spread(table(lab.store), mine).set_index("language")
    assert found["seeds"].to_dict() == {"de": 3, "sw": 2}
    assert found.loc["de", "sd"] == pytest.approx(stdev([0.0, 7.5, 64.5]))
    assert found.loc["sw", "sd"] == pytest.approx(stdev([0.0, 7.5]))


def test_a_rerun_is_compared_with_seeds_from_the_store(lab: Lab) -> None:
    for seed in (0, 1, 2):
        cell = lab.cell("tatoeba", "mnli", seed=seed)
    lab.sweep()
    old = lab.store.folder(cell["stages"][-1]).published
    assert old is not None
    new = written(lab.store.root / "new", {"de": 100.0, "sw": plain(cell, "sw", "test", "accuracy")})
    found = compare(old / "scores.parquet", new, spread(table(lab.store), cell)).set_index("language")
    assert found["beyond"].to_dict() == {"de": True, "sw": False}
