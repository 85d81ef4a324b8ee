"""How many tokens are read at once on a device with little memory, and stages that do not fit it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.memory import AT_ONCE
from xstilts.work import evaluate, fit, train
from xstilts.work.attempt import Attempt
from xstilts.work.entries import Entry
from xstilts.work.inputs import encoder, tokenizer
from xstilts.work.machine import Machine


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return tiny.library(tmp_path / "library")


@pytest.fixture
def attempt(library: Library, tmp_path: Path) -> Attempt:
    wide = {"hidden_size": 512, "intermediate_size": 2048, "max_position_embeddings": 34}
    return tiny.attempt(tmp_path / "store", tiny.train_stage(library, numerics={"micro_tokens": None}, config=wide))


def fitted(library: Library, attempt: Attempt, free: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The budget on a GPU with so much free memory, of steps that would be as large as any."""
    stage = attempt.stage
    stage.spec["recipe"]["batch_size"] = 4096
    monkeypatch.setattr(Machine, "free_memory", lambda self: free)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some GPU")
    read = [Entry.read(library, stage, values, tokenizer(library, stage)) for values in stage.spec["mixture"]]
    machine = Machine(torch.device("cuda"), AT_ONCE["cuda"][0], bf16=True)
    return fit.training(machine, attempt, encoder(library, stage, None), read).budget


def test_the_most_tokens_that_fit(library: Library, attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted(library, attempt, 10**12, monkeypatch)
    most = attempt.notes["predicted_memory"]
    budgets = [fitted(library, attempt, int(most * share), monkeypatch) for share in (1, 0.7, 0.5, 0.4)]
    assert budgets[0] == AT_ONCE["cuda"][0]
    assert budgets == sorted(budgets, reverse=True)
    assert len(set(budgets)) > 2
    assert set(budgets) <= set(AT_ONCE["cuda"])


def test_what_does_not_fit_is_refused_unless_it_is_wanted(
    library: Library, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"does not fit some GPU: even with 512 tokens at once it takes 0\.\d+ GB"):
        fitted(library, attempt, 10**6, monkeypatch)
    attempt.stage.numerics["micro_tokens"] = 300
    assert fitted(library, attempt, 10**6, monkeypatch) == 300


def test_a_cpu_reads_as_many_as_ever_or_refuses(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tiny.train_stage(library, numerics={"micro_tokens": None}, steps=1)
    done = tiny.attempt(tmp_path / "store", stage)
    train.run(done)
    assert done.notes["machine"]["micro_tokens"] == 2048
    assert done.notes["predicted_memory"] < 10**9
    monkeypatch.setattr(Machine, "free_memory", lambda self: 10**8)
    with pytest.raises(UserError, match="does not fit cpu"):
        train.run(tiny.attempt(tmp_path / "store", stage))
    stage = tiny.evaluate_stage(library, tiny.TWINS, ["en/test"], numerics={"micro_tokens": None})
    with pytest.raises(UserError, match="does not fit cpu"):
        evaluate.run(tiny.attempt(tmp_path / "store", stage))
