"""How many tokens a device reads at once, so that a stage fits its memory; a stage that does not is refused here.

Said before anything is trained, from what is known only now: which sub-words occur, how long the sequences are, how
much of the device's memory is free. The formulas are `xstilts.memory`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xstilts.data.batches import Features
from xstilts.errors import UserError
from xstilts.formats.base import Part
from xstilts.memory import AT_ONCE, PREDICTED, Device, Load, Need, Shape
from xstilts.memory import evaluating as needed_evaluating
from xstilts.memory import training as needed_training
from xstilts.model.encoder import Encoder
from xstilts.work.attempt import Attempt
from xstilts.work.entries import Entry
from xstilts.work.machine import Machine

SPREAD = 4  # standard deviations: one step in thirty thousand has more tokens


def training(
    machine: Machine, attempt: Attempt, encoder: Encoder, entries: Sequence[Entry], shards: int = 1
) -> Machine:
    """With a budget for which the training of the encoder, whose table is cut already, fits. Raises `UserError`."""
    recipe, rows = attempt.stage.spec["recipe"], len(encoder.embeddings.weight)
    shape, device = _shape(attempt, encoder), Device(machine.device.type, machine.bf16)
    dropout, best = float(encoder.config.hidden_dropout_prob), recipe["checkpoint"] == "best"

    def need(budget: int) -> Need:
        found = []
        for entry in entries:
            load = _load(entry, budget, recipe, attempt.group.size)
            found.append(needed_training(shape, rows, device, load, dropout, shards, best))
            if entry.selection is not None:
                queue = _queue(entry.form.name, [entry.selection.features], budget)
                found.append(needed_evaluating(shape, device, queue, rows, found[-1].moments, shards))
        return max(found, key=lambda one: one.total)

    return _fitted(machine, attempt, need)


def evaluating(
    machine: Machine, attempt: Attempt, encoder: Encoder, form: str, features: Mapping[Part, Features]
) -> Machine:
    """With a budget for which an evaluation fits. Raises `UserError`."""
    shape, device = _shape(attempt, encoder), Device(machine.device.type, machine.bf16)
    parts = list(features.values())
    return _fitted(machine, attempt, lambda budget: needed_evaluating(shape, device, _queue(form, parts, budget)))


def _fitted(machine: Machine, attempt: Attempt, need: Callable[[int], Need]) -> Machine:
    """The first of AT_ONCE that fits; what `numerics.micro_tokens` says is taken as it is.

    All ranks take what the first one does: they have equal devices.
    """
    wanted, free = attempt.stage.numerics["micro_tokens"], machine.free_memory()
    budgets = [wanted] if wanted else AT_ONCE[machine.device.type]
    budget = next((budget for budget in budgets if need(budget).total <= free), None)
    budget = attempt.group.tell(budget or wanted)
    if budget is None:
        least = need(budgets[-1])
        several = ", or several GPUs and numerics.shard=true" if attempt.stage.kind == "train" else ""
        raise UserError(
            f"{attempt.stage.label} does not fit {machine.facts()['device']}: even with {budgets[-1]} tokens at once "
            f"it takes {gigabytes(least.total)} ({_parts(least)}), and it may take {gigabytes(free)}. A device "
            f"with more memory{several} would do; numerics.micro_tokens={budgets[-1]} tries it all the same"
        )
    found = need(budget)
    print(f"memory: {gigabytes(found.total)} predicted ({_parts(found)}) of {gigabytes(free)}; {budget} tokens at once")
    attempt.note(predicted_memory=found.total)
    return replace(machine, budget=budget)


def _shape(attempt: Attempt, encoder: Encoder) -> Shape:
    model = attempt.stage.spec["model"]
    trained = sum(parameter.numel() for parameter in encoder.parameters())
    cut = (encoder.vocabulary - len(encoder.embeddings.weight)) * encoder.hidden_size
    return Shape.of(model["architecture"], encoder.config.to_dict(), trained + cut)


def _load(entry: Entry, budget: int, recipe: Mapping[str, Any], ranks: int) -> Load:
    """The largest micro-batch of a rank's share of a training's steps, nearly."""
    lengths, batch = entry.features.lengths, recipe["batch_size"]
    step = int(np.sort(lengths)[-batch:].sum()) * -(-batch // len(lengths))  # the longest units, in one step
    if not recipe.get("bucket"):
        step = min(step, int(batch * lengths.mean() + SPREAD * np.sqrt(batch) * lengths.std()))
    step = -(-step // ranks)
    tokens = step if entry.form.whole_batch else min(step, max(budget, int(lengths.max())))
    rate = float(entry.features.fields["rate"][1].mean()) if "rate" in entry.features.fields else PREDICTED
    return Load(entry.form.name, tokens, _length([entry.features]), tokens < step, rate)


def _queue(form: str, parts: Sequence[Features], budget: int) -> Load:
    """The largest micro-batch of an evaluation."""
    longest = max((int(part.lengths.max()) for part in parts if len(part)), default=0)
    tokens = min(sum(len(part.tokens) for part in parts), max(budget, longest))
    return Load(form, tokens, _length(parts))


def _length(parts: Sequence[Features]) -> float:
    """Tokens of the sequence that a token is in, on average."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    return float(np.square(sizes).sum() / max(1, sizes.sum()))


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB"


def _parts(need: Need) -> str:
    return ", ".join(f"{name} {count / 1e9:.2f}" for name, count in vars(need).items() if count)
