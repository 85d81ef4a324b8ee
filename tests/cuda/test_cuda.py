"""What the engine does on a GPU, as far as that can be seen without one.

A process of its own pretends (`steps.py`): fake CUDA tensors go through steps of training and evaluations of every
format and architecture. So shapes, types, devices, autocast, the flash kernel's arguments and the backward pass are
those of a GPU, and nothing may wait for one; values and speed are not seen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tiny
from xstilts import formats
from xstilts.work.machine import Machine

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is wrong, by case."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if not torch.backends.cuda.is_built():
        environment["LD_PRELOAD"] = str(_compiled(tmp_path_factory.mktemp("cuda") / "pretend.so"))
    command = [sys.executable, str(HERE / "steps.py")]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-5000:]
    return json.loads(ended.stdout)


def _compiled(library: Path) -> Path:
    """Of `pretend.cpp`, against the torch that is installed; in seconds."""
    compiler = shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a torch without CUDA needs a C++ compiler to pretend that it has it")
    home = Path(torch.__file__).parent
    links = [f"-L{home / 'lib'}", f"-Wl,-rpath,{home / 'lib'}", "-lc10", "-ltorch_cpu"]
    options = ["-std=c++20", "-O0", "-shared", "-fPIC", f"-I{home / 'include'}", "-o", str(library)]
    subprocess.run([compiler, *options, str(HERE / "pretend.cpp"), *links], check=True)
    return library


def test_steps_and_evaluations_run_and_wait_for_no_device(found: dict[str, list[str]]) -> None:
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_every_format_was_tried(found: dict[str, list[str]]) -> None:
    for name in formats.FORMATS:
        assert f"evaluate {name}, xlm-roberta" in found
        assert not formats.get(name).trainable or f"train {name}, xlm-roberta" in found


def test_attention_may_not_add_up_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's attention kernels take `warn_only` for leave to stay as they are; resuming would not be exact."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        Machine.of({**tiny.NUMERICS, "device": "auto"}, "bf16")
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = before  # type: ignore[attr-defined]
