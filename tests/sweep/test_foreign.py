"""Launchers of others, which know cells only: the same results, and failures said aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from launching import GRID, attempts, launch, library, results


@pytest.mark.slow
@pytest.mark.parametrize("name", ["joblib", "submitit_local"])
def test_cells_by_somebody_elses_launcher(reference: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_" + {"joblib": "joblib", "submitit_local": "submitit"}[name] + "_launcher")
    store = library(reference, tmp_path / "store")
    data = store / "library/toy/data/xnli/en/test.parquet"
    whole = data.read_bytes()
    data.write_bytes(whole[:-100])
    line = [
        *GRID[:2],
        "target=xnli",
        f"hydra/launcher={name}",
        *(["hydra.launcher.n_jobs=2"] if name == "joblib" else []),
    ]
    code, text = launch(store, *line, workers=None)
    assert code == 1, text
    assert "2 failed" in text
    assert "is not whole Parquet" in " ".join(text.split())
    assert " ".join(text.split()).count("xl mnli english xnli smoke") == 1
    data.write_bytes(whole)
    code, text = launch(store, *line, workers=None)
    assert code == 0, text
    assert results(store) == [row for row in results(reference) if ",xnli," in row or row.startswith("model,")]
    assert {n for label, n in attempts(store).items() if ": xnli" not in label} == {1}, "cells wait for one another"
