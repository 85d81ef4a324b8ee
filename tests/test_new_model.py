"""`docs/new-model.md` is true: its one YAML is all that a model of a known architecture needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xstilts.model.encoder import Encoder

ROOT = Path(__file__).parents[1]
YAML = re.search(r"```yaml\n(.*?)```", (ROOT / "docs/new-model.md").read_text(), re.DOTALL)
assert YAML
SAID = yaml.safe_load(YAML[1])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    place = tmp_path / "checkout"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "launch.py", place)
    assert YAML
    (place / "conf/model/modern.yaml").write_text(YAML[1])
    return place


def launch(checkout: Path, slices: Path, *more: str) -> subprocess.CompletedProcess[str]:
    where = [f"world.root={slices}", f"world.tokenizer={slices / 'tokenizer'}", f"store={checkout / 'store'}"]
    line = [
        sys.executable,
        "launch.py",
        "experiment=slices",
        "model=modern",
        "inter=none",
        "target=xnli",
        *where,
        *more,
    ]
    env = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    return subprocess.run(line, cwd=checkout, env=env, capture_output=True, text=True, check=False)


def test_parameters_are_those_of_the_encoder() -> None:
    encoder = Encoder(SAID["architecture"], SAID["config"])
    assert sum(parameter.numel() for parameter in encoder.parameters()) == SAID["parameters"]


@pytest.mark.slow
def test_it_trains_and_evaluates(checkout: Path, slices: Path) -> None:
    done = launch(checkout, slices)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_parquet(checkout / "store/results.parquet")
    assert set(table["model"]) == {"modern"}
    assert (table["parameters"] == SAID["parameters"]).all()
    test = table[table["primary"] & (table["split"] == "test")].set_index("language")["value"]
    assert test.notna().sum() == 13, "what the slices have of XNLI"


def test_a_setting_that_is_none_is_refused_before_anything_runs(checkout: Path, slices: Path) -> None:
    path = checkout / "conf/model/modern.yaml"
    path.write_text(path.read_text().replace("local_attention", "window"))
    done = launch(checkout, slices)
    assert done.returncode != 0
    assert "modernbert has no setting 'window'" in done.stderr
    assert not list((checkout / "store").rglob("stages/*/attempts"))
