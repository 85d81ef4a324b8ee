"""What planning may not import: it starts in about a second on any login node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xstilts.task import CONF

ROOT = CONF.parent
HEAVY = {
    "torch",
    "transformers",
    "wandb",
    "tokenizers",
    "datasets",
    "huggingface_hub",
    "pandas",
    "pyarrow",
    "matplotlib",
}
#: runs a file as the user does, then says what was imported
RUN = """
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported(*command: str, cwd: Path) -> set[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HYDRA")}
    environment["PYTHONPATH"] = str(ROOT / "src")
    ended = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, cwd=cwd, env=environment)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "line",
    ["experiment=demo do=plan tracker=online", "do=status", "hydra/launcher=slurm target=xnli do=plan"],
    ids=["plan", "status", "slurm"],
)
def test_nothing_heavy_before_something_runs(line: str, tmp_path: Path) -> None:
    found = imported(RUN, str(ROOT / "launch.py"), *line.split(), cwd=tmp_path)
    assert "xstilts" in found
    assert found & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


MODULES = [
    "xstilts.results", "xstilts.config", "xstilts.stage", "xstilts.store", "xstilts.task", "xstilts.owner",
    "xstilts.data.library", "xstilts.data.stale", "xstilts.data.toy.models", "xstilts.sweep.command",
    "xstilts.sweep.workstation", "xstilts.sweep.rerun", "xstilts.sweep.single", "hydra_plugins.xstilts.sweeper",
    "hydra_plugins.xstilts.launcher",
]  # fmt: skip


def test_orchestration_is_light_whoever_imports_it(tmp_path: Path) -> None:
    code = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})), file=sys.stderr)"
    )
    assert imported(code, *MODULES, cwd=tmp_path) & HEAVY == set()
