"""Steps of training and whole evaluations on a GPU that is not there, in a process of its own.

Tensors are torch's fake ones, which know their shape, type and device but hold nothing: what only looks at a value, and
would make a real GPU wait, raises. `Watch` sees every operation, with what autograd and autocast do for CUDA, and says
what else a GPU would wait for or refuse. A torch without CUDA needs `pretend.cpp`, preloaded.

Prints a JSON object: what was found wrong, by case.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

import tiny
from xstilts import formats
from xstilts.data.batches import Features
from xstilts.data.mixture import Mixture
from xstilts.formats.base import Limits
from xstilts.formats.neighbours import Best
from xstilts.model import optimizer, vocabulary
from xstilts.model.encoder import Encoder
from xstilts.model.parallel import ALONE
from xstilts.task import Task
from xstilts.work import inference, step
from xstilts.work.checkpoint import Trained
from xstilts.work.entries import Entry
from xstilts.work.machine import Machine
from xstilts.work.setting import Setting

CUDA = torch.device("cuda")
LIMITS = Limits(24, stride=4, max_query_length=8)
SHAPES = {
    "xlm-roberta": tiny.CONFIG,
    "xlm-roberta-xl": tiny.CONFIG,
    "modernbert": {**tiny.SHAPE, "cls_token_id": 0, "sep_token_id": 2, "local_attention": 4},
}
#: What `torch.use_deterministic_algorithms` refuses on CUDA, by its documentation, of what could come near us.
REFUSED = {"put_", "histc", "bincount", "median", "kthvalue", "nll_loss2d_forward", "cumsum"}
pinned: list[torch.Tensor] = []  # kept, so that no other tensor is taken for one of these


class Watch(TorchDispatchMode):
    """Every operation on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        given = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)]
        made = func(*args, **kwargs)
        self.seen[name] += 1
        there = [tensor for tensor in given if tensor.is_cuda]
        if name in ("_to_copy", "copy_"):
            self._moved(name, args, kwargs, made)
        elif there and len(there) < len(given):
            self.wrong.append(f"{name} of tensors here and there: {[str(tensor.device) for tensor in given]}")
        if there and name in REFUSED and there[0].is_floating_point():
            self.wrong.append(f"{name} is not deterministic")
        if name == "_flash_attention_forward":
            self.wrong += _flash(*args[:7])
        return made

    def _moved(self, name: str, args: Any, kwargs: Any, made: torch.Tensor) -> None:
        source, target = (args[1], args[0]) if name == "copy_" else (args[0], made)
        if source.device.type == target.device.type:
            return
        ahead = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
        if target.is_cuda and not ahead:
            self.wrong.append(f"{name} of {list(source.shape)} to the device, which is waited for")
        elif target.is_cuda and not any(source is one for one in pinned):
            self.wrong.append(f"{name} of {list(source.shape)} to the device, not pinned")
        if source.is_cuda:
            self.wrong.append(f"{name} of {list(source.shape)} from the device")


def _flash(q: Any, k: Any, v: Any, asked: Any, starts: Any, most: Any, longest: Any) -> list[str]:
    """What the kernel would refuse."""
    wrong = [f"flash: {x.dtype} {x.stride()}" for x in (q, k, v) if x.dtype != torch.bfloat16 or x.stride(-1) != 1]
    wrong += [f"flash: head size {q.shape[-1]}"] * (q.shape[-1] % 8 > 0)
    wrong += [f"flash: {x.dtype} starts" for x in (asked, starts) if x.dtype != torch.int32 or not x.is_contiguous()]
    wrong += ["flash: lengths are no numbers"] * (type(most) is not int or type(longest) is not int)
    wrong += ["flash: not as many sequences"] * (len(asked) != len(starts))
    return wrong


def _pin(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.device.type == "cpu"
    pinned.append(tensor)
    return tensor


def _said(outputs: dict[str, torch.Tensor]) -> Any:
    """In place of `inference._sent`, which needs streams."""
    assert all(tensor.is_cuda for tensor in outputs.values())
    return lambda: {name: np.zeros(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in outputs.items()}


def _really(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What a batch is made of on the CPU is no fake."""

    def run(values: Any) -> Any:
        with _disable_current_modes():
            return function(values)

    return run


torch.from_numpy = _really(torch.from_numpy)
torch.Tensor.numpy = _really(torch.Tensor.numpy)  # type: ignore[method-assign]
torch.Tensor.pin_memory = _pin  # type: ignore[assignment,method-assign]
torch.cuda.amp.common.amp_definitely_not_available = lambda: False  # else autocast does nothing
torch.cuda.is_bf16_supported = lambda: True
_mode = torch.inference_mode
torch.inference_mode = lambda mode=False: _mode(mode)  # type: ignore[assignment,misc]  # in it all tensors become fake
inference._sent = _said


# the data ------------------------------------------------------------------------------------------------------------


def rows(form: str, count: int = 12) -> list[dict[str, Any]]:
    """Items of a format, as the library has them."""
    rng = np.random.default_rng(0)

    def text(least: int = 3) -> str:
        return " ".join(rng.choice(tiny.WORDS, size=rng.integers(least, 12)))

    def answer(context: str) -> dict[str, Any]:
        word = context.split()[1]
        return {"start": context.index(f" {word}") + 1, "text": word}

    def item(i: int) -> dict[str, Any]:
        context, side = text(), ("source", "target")[i % 2]
        return {
            "classification": {"text_a": text(), "text_b": text() if i % 2 else None, "label": "odd"},
            "choice": {"context": context, "question": text(), "choices": [text(), text()][: 2 + i % 2], "label": 1},
            "span": {"question": text(), "context": context, "answers": [answer(context)]},
            "tagging": {"tokens": context.split(), "tags": ["odd"] * len(context.split())},
            "nearest": {"source": text(), "target": text()},
            "mining": {"side": side, "text": text(), "pair": None},
            "dual_encoder": {"kind": "pair", "query": text(), "candidate": text(), "positives": [f"c{i}"]},
            "mlm": {"text": text()},
        }[form] | {"id": f"i{i}"}

    return [item(i) for i in range(count)]


def features(form: str) -> tuple[Task, Features]:
    task = Task("task", form, labels=["even", "odd"], train="en/train", metric="accuracy")
    of = formats.get(form)
    table = pa.Table.from_pylist(rows(form), of.columns)
    return task, of.features(table, task, tiny.tokenizer(), LIMITS)


# the cases -----------------------------------------------------------------------------------------------------------


def trains(architecture: str, form: str, bf16: bool = True) -> Watch:
    """A step of several micro-batches, where its format allows."""
    (task, read), of = features(form), formats.get(form)
    recipe, machine = tiny.RECIPE, Machine(CUDA, 40, bf16)
    encoder = Encoder(architecture, SHAPES[architecture])
    head = of.head(task, encoder)
    vocabulary.cut(encoder, [of], [read], "used")
    trained = Trained(encoder, {"task": head}).train()
    entry = Entry("task", task, of, read, None, None)
    mixture = Mixture.plan([read.lengths], [None], recipe, 0)
    setting = Setting(recipe, ALONE, machine, tiny.tokenizer(), [entry], mixture, trained, None, {})
    with FakeTensorMode(allow_non_fake_inputs=True):
        trained.to(CUDA)
        adamw, broken = optimizer.build(trained.own.values(), recipe), torch.zeros((), device=CUDA)
        with Watch() as watch:
            _, units = mixture.batch(0)
            loss, terms, _ = step.gradients(setting, entry, units, 0)
            norm = optimizer.step(adamw, 1e-3, terms, recipe["clip"], broken)
            assert (norm + loss / terms.clamp(min=1)).is_cuda
    assert bool(watch.seen["_flash_attention_backward"]) == bf16
    return watch


def evaluates(architecture: str, form: str, layers: int | None, bf16: bool = True) -> Watch:
    (task, read), of = features(form), formats.get(form)
    encoder = Encoder(architecture, SHAPES[architecture])
    head = of.head(task, encoder) if of.trainable else None
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in (encoder, head):
            if module is not None:
                module.to(CUDA)
        with Watch() as watch:
            given = {("en", "test"): read}
            inference.infer(of, encoder, head, given, Machine(CUDA, 40, bf16), tiny.tokenizer(), layers)
    assert bool(watch.seen["_flash_attention_forward"]) == bf16
    return watch


def searches() -> Watch:
    """Neighbours among similarities, in both directions."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        forward, backward = Best(4, 3, CUDA), Best(6, 3, CUDA)
        with Watch() as watch:
            similarities = torch.randn(4, 5, device=CUDA) @ torch.randn(5, 6, device=CUDA)
            for place in (0, 4):
                forward.add(0, 6 * place, similarities)
                backward.add(0, place, similarities.T)
    assert watch.seen["topk"]
    return watch


def main() -> None:
    torch.use_deterministic_algorithms(True)  # autograd and some formulas of torch's ask for it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    cases: dict[str, Any] = {}
    for form, of in ((name, formats.get(name)) for name in formats.FORMATS):
        for architecture in SHAPES if form in ("classification", "span") else ["xlm-roberta"]:
            if of.trainable:
                cases[f"train {form}, {architecture}"] = (trains, architecture, form)
            cases[f"evaluate {form}, {architecture}"] = (evaluates, architecture, form, None)
    cases["train tagging, fp32"] = (trains, "xlm-roberta", "tagging", False)
    cases["evaluate mining, one layer"] = (evaluates, "xlm-roberta", "mining", 1)
    cases["neighbours"] = (searches,)
    found = {}
    for name, (function, *arguments) in cases.items():
        try:
            found[name] = function(*arguments).wrong
        except Exception as error:
            found[name] = [f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
