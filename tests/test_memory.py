"""The formulas of `xstilts.memory` against a tracker that sees every tensor of real steps.

The steps are the engine's own: encoder, packing, heads, losses, backward, clipping, AdamW. Tensors are fake where
shapes are those of real models, so that nothing is computed. There is no GPU here, so CUDA is put on: its rules of
autocast (normalisations give float32), its dropout (a mask of bools) and the flash kernel, whose shapes torch knows on
any device.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xstilts import formats, memory
from xstilts.data.batches import Batch, Features, gather
from xstilts.formats.labels import IGNORED
from xstilts.memory import Device, Load, Shape
from xstilts.model import optimizer, packing
from xstilts.model.dropout import Dropout
from xstilts.model.encoder import Encoder
from xstilts.task import Task

GPU, CPU = Device("cuda", bf16=True), Device("cpu", bf16=False)
CLOSE = 0.15
RECIPE = {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


class Tracker(TorchDispatchMode):
    """Counts the bytes of all storages that operations make and nobody has let go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.seen:
            self.seen.add(storage)
            size = storage.nbytes()
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor)
        return made


@contextmanager
def like_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    norm = F.layer_norm

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return torch.native_dropout(x, p, True)[0] if training and p else x

    with monkeypatch.context() as patch:
        patch.setattr(F, "layer_norm", lambda x, *rest: norm(x.float(), *rest))
        patch.setattr(F, "dropout", dropout)
        patch.setattr(Dropout, "forward", nn.Dropout.forward)
        patch.setattr(packing, "_in_groups", packing._flash)
        yield


@dataclass(frozen=True)
class Model:
    architecture: str
    hidden: int
    layers: int
    heads: int
    vocabulary: int = 1000

    @property
    def config(self) -> dict[str, Any]:
        return {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.hidden,
            "max_position_embeddings": 514,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        }


TINY = Model("xlm-roberta", 128, 2, 4)
BASE, LARGE = Model("xlm-roberta", 768, 2, 12), Model("xlm-roberta", 1024, 3, 16)
XL = Model("xlm-roberta-xl", 2560, 2, 32)


def lengths(sequences: int) -> np.ndarray:
    """Of real sentences, nearly: 8 to 128 tokens, 40 on average."""
    drawn = np.exp(np.random.default_rng(0).normal(np.log(35.5), 0.5, sequences)).round()
    return np.clip(drawn, 8, 128).astype(np.int64)


def features(form: str, sizes: np.ndarray) -> Features:
    tokens, sequences = int(sizes.sum()), len(sizes)
    a_unit = {"choice": 4, "dual_encoder": 2, "nearest": 2}.get(form, 1)
    units = sequences // a_unit
    starts = np.concatenate([[0], np.cumsum(sizes)])
    made = Features(np.ones(tokens, np.int32), starts, np.arange(0, sequences + 1, a_unit), np.arange(units))
    zeros = np.zeros(units, np.int64)
    fields: dict[str, dict[str, Any]] = {
        "span": {"start": ("unit", zeros), "end": ("unit", zeros)},
        "tagging": {"labels": ("token", np.zeros(tokens, np.int64))},
        "mlm": {"labels": ("token", np.where(np.arange(tokens) % 20 < 3, 5, -100))},  # 15 %
        "dual_encoder": {"candidate": ("unit", np.arange(units))},
    }
    made.fields = fields.get(form, {"labels": ("unit", zeros)})
    return made


def whole(form: str, sizes: np.ndarray) -> Batch:
    read = features(form, sizes)
    batch = gather(read, np.arange(len(read)))
    if form == "mlm":
        batch.fields["chosen"] = (batch.fields["labels"] != IGNORED).nonzero()[:, 0]
    return batch


@contextmanager
def built(
    model: Model, form: str, device: Device, fake: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Encoder, nn.Module | None, Shape]]:
    mode: AbstractContextManager[Any] = FakeTensorMode(allow_non_fake_inputs=True) if fake else nullcontext()
    with mode, like_cuda(monkeypatch) if device.flash else nullcontext():
        encoder = Encoder(model.architecture, model.config, 0.1, empty=fake)
        task = Task("task", form, labels=["a", "b", "c"], train="en/train", metric="accuracy")
        head = formats.get(form).head(task, encoder) if formats.get(form).trainable else None
        count = sum(parameter.numel() for parameter in encoder.parameters())
        yield encoder, head, Shape.of(model.architecture, model.config, count)


def trained(
    model: Model, form: str, device: Device, cuts: int, sequences: int, monkeypatch: Any, rows: int | None = None
) -> tuple[int, int]:
    """Peak of a second step, of so many micro-batches and perhaps a cut table: tracked and predicted."""
    of, sizes = formats.get(form), lengths(sequences)
    fake = rows is None and form not in ("span", "mlm")  # which ask for values
    with built(model, form, device, fake, monkeypatch) as (encoder, head, shape), Tracker() as tracker:
        assert head is not None
        if rows is not None:
            encoder.keep_rows(torch.arange(rows))
        both = nn.ModuleList([encoder, head]).train()
        for parameter in both.parameters():
            tracker.add(parameter)
        adamw, broken = optimizer.build(both.parameters(), RECIPE), torch.zeros(())
        for _ in range(2):
            tracker.peak = 0
            for _ in range(cuts):
                batch = whole(form, sizes)
                with torch.autocast("cpu", torch.bfloat16, enabled=device.bf16):
                    hidden = encoder(batch.tokens, batch.starts, lengths=batch.lengths, firsts=of.reads_firsts)
                    loss, terms = of.loss(head, hidden, batch)
                loss.backward()
                del hidden, loss
            optimizer.step(adamw, 1e-5, terms, 1.0, broken)
    need = memory.training(shape, rows or shape.vocabulary, device, load(form, sizes, cuts > 1))
    return tracker.peak, need.total - need.process


def load(form: str, sizes: np.ndarray, several: bool = False) -> Load:
    return Load(form, int(sizes.sum()), float(np.square(sizes).sum() / sizes.sum()), several)


@pytest.mark.parametrize(
    ("model", "form", "cuts", "sequences", "device"),
    [
        (TINY, "choice", 1, 64, CPU),
        (TINY, "dual_encoder", 1, 64, GPU),
        (BASE, "classification", 1, 200, GPU),
        (BASE, "classification", 1, 60, CPU),
        (BASE, "tagging", 2, 100, GPU),
        (LARGE, "tagging", 1, 100, GPU),
        (XL, "classification", 1, 100, GPU),
        (XL, "tagging", 2, 50, GPU),
        (XL, "tagging", 1, 30, CPU),
    ],
    ids=str,
)
def test_training(
    model: Model, form: str, cuts: int, sequences: int, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked, predicted = trained(model, form, device, cuts, sequences, monkeypatch)
    assert predicted == pytest.approx(tracked, rel=CLOSE)


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_large_table_is_held_once_more_by_its_gradient(cuts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLM-R base's own, which is larger than two of its blocks: the peak is at the end of the backward pass."""
    model = Model("xlm-roberta", 768, 2, 12, vocabulary=250_002)
    tracked, predicted = trained(model, "tagging", GPU, cuts, 50, monkeypatch)
    assert predicted == pytest.approx(tracked, rel=0.03)


@pytest.mark.parametrize(("cuts", "sequences"), [(1, 10), (1, 100), (3, 100)])
def test_the_gradient_of_a_cut_table_stays_on_a_cpu(cuts: int, sequences: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model("xlm-roberta", 128, 2, 4, vocabulary=60_000)
    tracked, predicted = trained(model, "tagging", CPU, cuts, sequences, monkeypatch, rows=40_000)
    assert predicted == pytest.approx(tracked, rel=0.03)


@pytest.mark.parametrize(
    ("form", "vocabulary", "hidden", "cuts", "sequences"),
    [("span", 500, 256, 1, 30), ("mlm", 40_000, 64, 2, 30), ("mlm", 40_000, 128, 1, 5)],
    ids=["spans", "logits", "three tables"],
)
def test_losses_on_every_token_and_on_the_vocabulary(
    form: str, vocabulary: int, hidden: int, cuts: int, sequences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model("xlm-roberta", hidden, 2, hidden // 32, vocabulary)
    tracked, predicted = trained(model, form, CPU, cuts, sequences, monkeypatch)
    assert predicted == pytest.approx(tracked, rel=CLOSE)


@pytest.mark.parametrize("device", [GPU, CPU], ids=["cuda bf16", "cpu fp32"])
@pytest.mark.parametrize("form", ["classification", "tagging", "nearest"])
@pytest.mark.parametrize("model", [BASE, XL], ids=str)
def test_evaluation(model: Model, form: str, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    of, sizes = formats.get(form), lengths(200)
    with built(model, form, device, True, monkeypatch) as (encoder, head, shape), Tracker() as tracker:
        for parameter in encoder.eval().parameters():
            tracker.add(parameter)
        batch = whole(form, sizes)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=device.bf16):
            hidden = encoder(batch.tokens, batch.starts, None, batch.lengths, of.reads_firsts)
            of.outputs(None if head is None else head.eval(), hidden, batch)
    need = memory.evaluating(shape, device, load(form, sizes))
    assert need.total - need.process == pytest.approx(tracker.peak, rel=CLOSE)


def test_what_is_known_of_formats_here_is_what_they_are() -> None:
    every = {name: formats.get(name) for name in formats.FORMATS}
    assert {name for name, form in every.items() if form.reads_firsts} == memory.FIRSTS
    assert {memory.VOCABULARY} == {name for name, form in every.items() if form.whole_vocabulary}
    assert {memory.WHOLE_BATCH} == {name for name, form in every.items() if form.whole_batch}


def test_shards_share_the_state_but_not_the_activations() -> None:
    config = Model("xlm-roberta-xl", 2560, 36, 32, 250_880).config
    shape = Shape.of("xlm-roberta-xl", config, 3_475_929_600)
    one, eight = (memory.training(shape, 40_000, GPU, Load("tagging", 4096, 40), shards=n) for n in (1, 8))
    assert eight.moments == pytest.approx(one.moments / 8)
    assert (eight.copies, eight.activations) in ((one.copies, one.activations), (0, 0))
    assert 0.15 < eight.total / one.total < 0.5
    queue = Load("tagging", 4096, 40)
    selecting = memory.evaluating(shape, GPU, queue, 40_000, eight.moments, shards=8)
    assert selecting.total < eight.total, "what can be trained can be selected on the way"
    assert selecting.weights == eight.weights
