"""What a model says about whole parts: similar lengths together, the longest first, nothing computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from xstilts.data.batches import Features, gather, in_length_order, rows
from xstilts.formats.base import Format, Outputs, Part
from xstilts.model.encoder import Encoder
from xstilts.work.machine import Machine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def infer(
    form: Format,
    encoder: Encoder,
    head: nn.Module | None,
    features: Mapping[Part, Features],
    machine: Machine,
    tokenizer: PreTrainedTokenizerBase,
    layers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Part, Outputs]:
    """The head's outputs for all parts, in the order of their features. Runs the first `layers` blocks only.

    What a GPU says is fetched while it does the next batch, so that it never waits for the host. `progress` is told
    tokens done and in all.
    """
    queue = [(part, group) for part, own in features.items() for group in in_length_order(own, machine.budget)]
    queue.sort(key=lambda job: -_longest(features[job[0]], job[1]))
    done, total = 0, sum(len(own.tokens) for own in features.values())
    results: dict[Part, Outputs] = {part: {} for part in features}
    said: list[Callable[[], None]] = []  # the newest batch, whose outputs are still on their way
    with torch.inference_mode(), machine.autocast(), evaluating(encoder, head):
        for part, group in queue:
            batch = form.corrupt(gather(features[part], group), tokenizer, np.random.default_rng(0)).to(machine.device)
            hidden = encoder(batch.tokens, batch.starts, layers, batch.lengths, form.reads_firsts)
            fetch = _sent(form.outputs(head, hidden, batch))
            said.append(partial(_put, results[part], fetch, form, features[part], group))
            if len(said) > 1:
                said.pop(0)()
            done += len(batch.tokens)
            progress(done, total)
        for put in said:
            put()
    return results


def _longest(features: Features, group: np.ndarray) -> int:
    """Tokens of the longest sequence of a group, which is in its first unit."""
    first, last = features.units[group[0]], features.units[group[0] + 1]
    return int(np.diff(features.starts[first : last + 1]).max())


def _sent(outputs: dict[str, torch.Tensor]) -> Callable[[], Outputs]:
    """Sends a head's outputs to main memory; what is given waits until they are there."""
    cuda = any(tensor.is_cuda for tensor in outputs.values())
    floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in outputs.items()}
    sent = {name: tensor.to("cpu", non_blocking=True) for name, tensor in floats.items()}  # pinned, from a GPU
    over = torch.cuda.current_stream().record_event() if cuda else None

    def fetch() -> Outputs:
        if over is not None:
            over.synchronize()
        return {name: tensor.numpy() for name, tensor in sent.items()}

    return fetch


def _put(result: Outputs, fetch: Callable[[], Outputs], form: Format, features: Features, group: np.ndarray) -> None:
    """Lay the outputs of some units where they belong among those of the part."""
    where = rows(features, group)
    size = {"unit": len(features), "sequence": len(features.starts) - 1, "token": len(features.tokens)}
    for name, values in fetch().items():
        align = form.aligned[name]
        if name not in result:
            result[name] = np.empty((size[align], *values.shape[1:]), values.dtype)
        result[name][where[align]] = values


@contextmanager
def evaluating(*modules: nn.Module | None) -> Iterator[None]:
    """Without dropout inside, and as before afterwards."""
    before = [(module, module.training) for module in modules if module is not None]
    for module, _ in before:
        module.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.train(training)
