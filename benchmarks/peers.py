"""Who else trains: Hugging Face's Trainer in its three ways, and a loop such as XTREME's and jiant's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from contest import Clock, Measured, plain
from stages import RECIPE, Way, features
from synthetic import TASKS, Shape
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.formats.labels import IGNORED
from xstilts.model import tokenizer as tokenizers

AT_ONCE = 8  # units a forward pass of XTREME's scripts, which add up gradients to a batch
ARCHITECTURES = {
    "nli": ("XLMRobertaForSequenceClassification", transformers.DataCollatorWithPadding),
    "pos": ("XLMRobertaForTokenClassification", transformers.DataCollatorForTokenClassification),
    "qa": ("XLMRobertaForQuestionAnswering", transformers.DataCollatorWithPadding),
}


class Peer:
    """What every one of them needs: items as `tokenizer(...)` gives them, and a stock model of random weights."""

    def __init__(self, made: Library, kind: str, shape: Shape, way: Way, padded: bool) -> None:
        self.kind, self.shape, self.way = kind, shape, way
        read = features(made, kind, way.max_length)
        self.sizes = read.lengths.tolist()
        self.items = [_item(read, unit, kind) for unit in range(len(read))]
        pad: dict[str, Any] = {"padding": "max_length", "max_length": way.max_length} if padded else {"padding": True}
        self.collator = ARCHITECTURES[kind][1](tokenizers.load(made.model_folder("bench")), **pad)

    def model(self, **options: Any) -> Any:
        plain()
        torch.manual_seed(0)
        labels = {} if self.kind == "qa" else {"num_labels": len(TASKS[self.kind].labels)}
        config = transformers.XLMRobertaConfig(**self.shape.config, **labels)
        with torch.device(self.way.device):
            return getattr(transformers, ARCHITECTURES[self.kind][0])._from_config(config, **options).train()

    def tokens(self, order: np.ndarray) -> int:
        """Useful ones that were read with the clock running."""
        return sum(self.sizes[i] for i in order[self.way.before * self.way.batch :])


def trainer(made: Library, kind: str, shape: Shape, padding: str, place: Path, way: Way) -> Callable[[int], Measured]:
    """Hugging Face's Trainer with its own collators; logging as often as ours, no saving."""
    peer = Peer(made, kind, shape, way, padding == "max length")

    def run(number: int) -> Measured:
        rng = np.random.default_rng(number)
        order = rng.permutation(len(peer.items))[: way.last * way.batch]
        if padding == "grouped":
            order = _grouped(peer.sizes, rng, way)
        arguments = TrainingArguments(
            output_dir=str(place / "trainer"),
            per_device_train_batch_size=way.batch,
            max_steps=way.last,
            learning_rate=RECIPE["lr"],
            weight_decay=RECIPE["weight_decay"],
            warmup_steps=1,
            max_grad_norm=1.0,
            logging_steps=10,
            train_sampling_strategy="sequential",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=way.device == "cpu",
            bf16=way.precision == "bf16",
            dataloader_pin_memory=way.device != "cpu",
        )
        watch = _Watch(way)
        Trainer(
            model=peer.model(),
            args=arguments,
            train_dataset=[peer.items[i] for i in order],
            data_collator=peer.collator,
            callbacks=[watch],
        ).train()
        return Measured(peer.tokens(order), watch.measured.cpu, watch.measured.wall)

    return run


def scripted(made: Library, kind: str, shape: Shape, way: Way) -> Callable[[int], Measured]:
    """A stand-in for XTREME's scripts and for jiant, whose packages ask for a transformers of 2020.

    As both do it: every batch padded to the longest length there may be, attention without fused kernels, passes of 8
    whose loss is fetched each time, an AdamW that goes from parameter to parameter.
    """
    peer = Peer(made, kind, shape, way, padded=True)

    def run(number: int) -> Measured:
        order = np.random.default_rng(number).permutation(len(peer.items))[: way.last * way.batch]
        model = peer.model(attn_implementation="eager")
        adamw = torch.optim.AdamW(model.parameters(), RECIPE["lr"], weight_decay=RECIPE["weight_decay"], foreach=False)
        schedule = transformers.get_linear_schedule_with_warmup(adamw, 1, way.last)
        for step, batch in enumerate(order.reshape(-1, way.batch)):
            if step == way.before:
                clock = Clock()
            for units in batch.reshape(-1, AT_ONCE):
                given = peer.collator([peer.items[i] for i in units]).to(way.device)
                loss = model(**given).loss * AT_ONCE / way.batch
                loss.backward()
                loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=False)
            adamw.step()
            schedule.step()
            model.zero_grad()
        return clock.read(peer.tokens(order))

    return run


class _Watch(TrainerCallback):
    """As `Timed`."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == self.way.before:
            self.clock = Clock()
        if state.global_step == self.way.last:  # and not before: reading it waits for the device
            self.measured = self.clock.read(0)


def _grouped(sizes: list[int], rng: np.random.Generator, way: Way) -> np.ndarray:
    """`steps` batches, one from each part of a mega-batch, from long to short, in random order, after `before` others.

    At most the 50 of a mega-batch.
    """
    torch.manual_seed(int(rng.integers(2**31)))
    order = np.array(get_length_grouped_indices(sizes, way.batch))
    batches = order[: len(order) // way.batch * way.batch].reshape(-1, way.batch)
    mega = batches[: len(batches) // 50 * 50].reshape(-1, 50, way.batch)
    chosen = mega[rng.integers(len(mega))]
    parts = np.split(chosen[: 50 // way.steps * way.steps], way.steps)
    picked = [part[rng.integers(len(part))] for part in parts]
    warm = [picked[i % way.steps] for i in range(way.before)]
    return np.concatenate([*warm, *(picked[i] for i in rng.permutation(way.steps))])


def _item(features: Features, unit: int, kind: str) -> dict[str, Any]:
    """As `tokenizer(...)` gives it."""
    span = slice(features.starts[unit], features.starts[unit + 1])
    ids = features.tokens[span].tolist()
    given = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    if kind == "qa":
        return given | {f"{end}_positions": int(features.fields[end][1][unit]) for end in ("start", "end")}
    align, labels = features.fields["labels"]
    label = int(labels[unit]) if align == "unit" else np.where(labels[span] == IGNORED, -100, labels[span]).tolist()
    return given | {"label" if align == "unit" else "labels": label}
