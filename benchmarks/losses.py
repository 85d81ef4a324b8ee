"""Did a change of the engine leave every loss curve alone? `make loss-compare [BASE=COMMIT]`.

Trains every format in the synthetic world, without dropout, once with the code of the commit BASE (default: main) and
once with the code as it lies here, and compares the losses that the stages logged, step by step. Both are run as a user
runs them, so any commit that has these choices can be compared. Exits with 1 when a curve moved by more than
--tolerance, relative to the loss; another number of steps or another stage is a difference too. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
#: A target a format; the toy models' own pretraining is the masked language model.
GRID = ["-m", "world=toy", "model=base", "inter=none", "target=xnli,xcopa,xquad,panx,lareqa", "recipe=toy"]
RECIPE = {"epochs": "null", "steps": "40", "dropout": "0.0", "checkpoint": "last"}
SIZES = "world.sizes={train: 400, selection: 20, dev: 10, test: 10}"

Curves = dict[str, list[float]]  # by the label of the stage


def curves(code: Path, store: Path, extra: list[str]) -> Curves:
    """The logged losses of every training stage, run with the code of a checkout."""
    recipe = [f"recipe.common.{key}={value}" for key, value in RECIPE.items()] + ["recipe.pretrain.steps=40"]
    pretrain = ["world.weights=null"] if "weights" in (code / "conf/world/toy.yaml").read_text() else []  # not shipped
    choices = [*GRID, *recipe, *pretrain, SIZES, f"store={store}", "keep=scores", *extra]
    command = [sys.executable, str(code / "launch.py"), *choices]
    environment = {**os.environ, "PYTHONPATH": str(code / "src")}
    ended = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    found: Curves = {}
    for folder in sorted(store.glob("stages/train-*")):
        spec = yaml.safe_load((folder / "stage.yaml").read_text())
        attempt = json.loads((folder / "done.json").read_text())["attempt"]
        lines = map(json.loads, (folder / "attempts" / str(attempt) / "metrics.jsonl").read_text().splitlines())
        losses = [line["loss"] for line in lines if "loss" in line]
        entries = spec["spec"]["mixture"]
        found[f"{'+'.join(e['name'] for e in entries)} ({entries[0]['task']['format']})"] = losses
    return found


def checkout(commit: str, place: Path) -> Path:
    """The files of a commit, beside the working tree."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(place, filter="data")
    return place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", default="main")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--with", dest="extra", nargs="*", default=[], help="overrides for the code here alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        before = curves(checkout(options.base, place / "base"), place / "store-base", [])
        after = curves(ROOT, place / "store-here", options.extra)
    table = Table("training", "points", "first loss", "last loss", "largest difference", "")
    failed = False
    for label in sorted(before | after):
        a, b = before.get(label, []), after.get(label, [])
        difference = max((abs(x - y) / abs(x) for x, y in zip(a, b, strict=False)), default=float("inf"))
        moved = len(a) != len(b) or not difference <= options.tolerance
        failed |= moved
        numbers = [f"{values[at]:.5f}" if values else "-" for values, at in ((b, 0), (b, -1))]
        table.add_row(label, str(len(b)), *numbers, f"{difference:.1e}", "MOVED" if moved else "same")
    Console(width=110).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
