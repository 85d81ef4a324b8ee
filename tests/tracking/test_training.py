"""What is typed reaches the stage's process, decides nothing of its result, and brings no W&B into it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from endpoint import Endpoint
from writing import ONLINE, steps

import tiny
from hydra_plugins.xstilts.launcher import WorkstationLauncher
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep.check import check
from xstilts.sweep.command import Command
from xstilts.sweep.compose import loader
from xstilts.tracking.live import LIVE
from xstilts.work import run


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return tiny.library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the follower of this process says."""
    heard: list[str] = []
    before, LIVE.say = LIVE.say, heard.append
    yield heard
    LIVE.close()
    LIVE.say = before


def planned(store: Path, *typed: str) -> dict[str, Stage]:
    line = check(["world=toy", "recipe=smoke", "model=xl", "target=tatoeba", f"store={store}", *typed])
    return Command(line, {}, loader(), "config", WorkstationLauncher()).planned().stages


def test_settings_are_in_the_place_and_in_no_id(tmp_path: Path) -> None:
    plain = planned(tmp_path)
    mirrored = planned(tmp_path, "tracker=online", "tracker.project=mine", "tracker.salt=2")
    assert plain.keys() == mirrored.keys()
    assert all("tracker" not in stage.place for stage in plain.values())
    wanted = {"mode": "online", "project": "mine", "entity": None, "salt": "2"}
    assert [stage.place["tracker"] for stage in mirrored.values()] == [wanted] * len(plain)


@pytest.mark.parametrize("typed", ["tracker=wandb", "tracker.mode=wandb"])
def test_another_tracker_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="tracker=wandb: valid choices: none, offline, online"):
        check(["model=base", typed])


def test_a_training_is_the_same_with_a_mirror(
    library: Library, tmp_path: Path, server: Endpoint, said: list[str]
) -> None:
    plain = tiny.train_stage(library, steps=25)
    stage = replace(plain, place={**plain.place, "tracker": asdict(ONLINE)})
    homes = [Store(tmp_path / name).enter(one) for name, one in {"plain": plain, "mirrored": stage}.items()]
    for home in homes:
        assert run.do({"stage": str(home.root)}, lambda event: None, threading.Event()) == "done"
    assert run.do({"stage": str(homes[1].root), "rerun": True}, lambda event: None, threading.Event()) == "done"
    LIVE.close()
    assert said == []
    written = [(home.root / "attempts/1/metrics.jsonl").read_text() for home in homes]
    assert written[0] == written[1]
    mirrored = server.runs[stage.id]
    assert list(server.runs) == [stage.id]
    assert steps(mirrored.rows) == [json.loads(line)["step"] for line in written[1].splitlines()]
    assert json.loads(mirrored.summary)["attempts"] == 1, "a rerun is the store's alone"
    assert json.loads(mirrored.summary)["result/selection"] >= 0


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("xstilts.work.run", {"wandb"}), ("xstilts.tracking.follow", {"torch", "transformers", "wandb", "pandas"}),
     ("xstilts.tracking.publish", {"torch", "transformers", "wandb"})],
)  # fmt: skip
def test_only_who_mirrors_imports_the_client(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(found) & heavy == set()
