"""On a GPU, where there is one: the states of the padded models, steps that wait for nothing, exact resuming.

Without one all of this is skipped, and `test_cuda.py` is what is left.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import tiny
from several import weights
from xstilts.data.library import Library
from xstilts.model import optimizer
from xstilts.model.encoder import Encoder
from xstilts.stage import Stage
from xstilts.store import Stopped
from xstilts.task import Task
from xstilts.work import evaluate, step, train
from xstilts.work.setting import Setting

DEVICE = "cuda"
#: An epsilon that keeps what rounding leaves of gradients that are 0 from becoming whole updates.
EXACT = {"dropout": 0.0, "eps": 1e-2, "checkpoint": "last", "steps": 4}
TRAINED = [tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS, tiny.PARITY]
SHAPES = {
    "xlm-roberta": tiny.SHAPE,
    "xlm-roberta-xl": tiny.SHAPE,
    "modernbert": {**tiny.SHAPE, "cls_token_id": 0, "sep_token_id": 2, "local_attention": 4},
}
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return tiny.library(tmp_path / "library")


def staged(library: Library, task: Task, **recipe: object) -> Stage:
    recipe = {"precision": "bf16", "checkpoint": "last", **recipe}
    return tiny.train_stage(library, [tiny.entry(library, task)], numerics={"device": DEVICE}, **recipe)


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("architecture", SHAPES)
def test_states_and_gradients_are_those_of_the_padded_model(architecture: str, bf16: bool) -> None:
    torch.manual_seed(0)
    encoder = Encoder(architecture, SHAPES[architecture], dropout=0.0).to(DEVICE).train()
    padded = copy.deepcopy(encoder.model)
    padded.set_attn_implementation("sdpa")
    sizes = [30, 5, 17, 1, 30, 12]
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    ids = torch.randint(4, tiny.VOCABULARY, mask.shape).masked_fill(~mask, 1)
    towards = torch.randn(sum(sizes), encoder.hidden_size).to(DEVICE)
    starts = torch.tensor(np.cumsum([0, *sizes])).to(DEVICE)
    with torch.autocast(DEVICE, torch.bfloat16, enabled=bf16):
        expected = padded(input_ids=ids.to(DEVICE), attention_mask=mask.long().to(DEVICE)).last_hidden_state
        found = encoder(ids[mask].to(DEVICE), starts, lengths=np.array(sizes))
    expected = expected[mask.to(DEVICE)]
    tolerance = 0.05 if bf16 else 1e-4
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    for hidden in (found, expected):
        (hidden.float() * towards).sum().backward()
    pairs = zip(encoder.model.parameters(), padded.parameters(), strict=True)
    ours, theirs = zip(*((a.grad, b.grad) for a, b in pairs if b.grad is not None), strict=True)
    total = torch.nn.utils.get_total_norm(theirs)
    for a, b in zip(ours, theirs, strict=True):  # of keys' biases it is 0 but for rounding
        assert (a - b).norm() < tolerance * torch.maximum(b.norm(), total / 10)


@pytest.mark.parametrize("task", TRAINED, ids=lambda task: task.format)
def test_no_step_waits_for_the_device(task: Task, library: Library, tmp_path: Path) -> None:
    setting = Setting.of(tiny.attempt(tmp_path / "store", staged(library, task)))
    adamw, broken = optimizer.build(setting.trained.own.values(), setting.recipe), torch.zeros((), device=DEVICE)
    try:
        for number in range(5):
            torch.cuda.set_sync_debug_mode("error" if number > 1 else "default")
            turn, units = setting.mixture.batch(number)
            _, terms, _ = step.gradients(setting, setting.entries[turn], units, number)
            optimizer.step(adamw, 1e-3, terms, setting.recipe["clip"], broken)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("task", TRAINED, ids=lambda task: task.format)
def test_resumed_is_uninterrupted(task: Task, precision: str, library: Library, tmp_path: Path) -> None:
    """With dropout; whatever the device adds up, it adds up in one order."""
    stage = staged(library, task, precision=precision)
    whole, begun = tiny.attempt(tmp_path / "whole", stage), tiny.attempt(tmp_path / "cut", stage, tiny.Countdown(5))
    train.run(whole)
    with pytest.raises(Stopped):
        train.run(begun)
    rest = tiny.attempt(tmp_path / "cut", stage)
    train.run(rest)
    assert rest.notes["resumed"]["changed"] == {}
    expected = weights(whole.folder)
    for name, values in weights(rest.folder).items():
        assert torch.equal(values, expected[name]), name


@pytest.mark.parametrize("task", TRAINED, ids=lambda task: task.format)
def test_trains_as_a_cpu_does(task: Task, library: Library, tmp_path: Path) -> None:
    found = []
    for device in ("cpu", DEVICE):
        entries = [tiny.entry(library, task)]
        stage = tiny.train_stage(library, entries, numerics={"device": device}, **EXACT)
        attempt = tiny.attempt(tmp_path / device, stage)
        train.run(attempt)
        found.append(weights(attempt.folder))
    for name, values in found[0].items():
        torch.testing.assert_close(
            found[1][name], values, rtol=1e-3, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_evaluates_as_a_cpu_does(library: Library, tmp_path: Path) -> None:
    tables = []
    for device in ("cpu", DEVICE):
        stage = tiny.evaluate_stage(library, tiny.TWINS, ["en/test", "sw/test"], numerics={"device": device})
        attempt = tiny.attempt(tmp_path / device, stage)
        evaluate.run(attempt)
        tables.append(pq.read_table(attempt.folder / "predictions" / "sw.test.parquet"))
    assert tables[0]["prediction"] == tables[1]["prediction"]
    np.testing.assert_allclose(tables[1]["score"].to_numpy(), tables[0]["score"].to_numpy(), rtol=1e-4)
