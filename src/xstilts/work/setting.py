"""What a training is made of: its data, its schedule and its model, as the stage names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from xstilts.data.batches import Batch, Features, gather
from xstilts.data.library import Library
from xstilts.data.mixture import Mixture
from xstilts.errors import UserError
from xstilts.model import vocabulary
from xstilts.model.parallel import Group
from xstilts.model.vocabulary import Table
from xstilts.work import fit, inputs
from xstilts.work.attempt import Attempt
from xstilts.work.checkpoint import Trained
from xstilts.work.entries import Entry
from xstilts.work.machine import Machine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Setting:
    """Built once by every rank, and the same on all of them; only what `trained` holds changes from here."""

    recipe: Mapping[str, Any]
    group: Group
    machine: Machine
    tokenizer: PreTrainedTokenizerBase
    entries: list[Entry]
    mixture: Mixture
    trained: Trained
    table: Table | None  # of the embeddings, where not all of them train; the first rank's alone: it publishes
    facts: dict[str, Any]  # its numerics

    @classmethod
    def of(cls, attempt: Attempt) -> Setting:
        """Reads what the stage says from the library. Raises `UserError` where ranks differ in device or settings."""
        stage, recipe, group = attempt.stage, attempt.stage.spec["recipe"], attempt.group
        machine = Machine.of(stage.numerics, recipe["precision"])
        library = Library(stage.place["library"])
        tokenizer = inputs.tokenizer(library, stage)
        entries = [Entry.read(library, stage, values, tokenizer) for values in stage.spec["mixture"]]
        _check(entries, recipe, group)
        lengths, rates = [entry.features.lengths for entry in entries], [entry.rate for entry in entries]
        mixture = Mixture.plan(lengths, rates, recipe, stage.spec["seed"])
        trained, table = _model(attempt, library, tokenizer, entries)
        rows = len(trained.encoder.embeddings.weight)
        print(f"{rows:,} embeddings train; {mixture.steps} steps")
        attempt.note(embeddings=rows)
        sharded = stage.numerics["shard"] and group.size > 1
        machine = fit.training(machine, attempt, trained.encoder, entries, group.size if sharded else 1)
        facts = machine.facts() | {"embeddings": rows, "ranks": group.size}
        facts |= {"shard": True} if sharded else {}
        group.agree(facts)
        if sharded:
            trained.shard(machine.device, group)
        else:
            trained.to(machine.device)
        trained.train()
        table = table if group.first else None
        return cls(recipe, group, machine, tokenizer, entries, mixture, trained, table, facts)

    def batch(self, entry: Entry, units: np.ndarray, step: int) -> Batch:
        """Some units of a step, as the encoder reads them."""
        batch = entry.form.corrupt(gather(entry.features, units), self.tokenizer, self.mixture.noise(step))
        return batch.to(self.machine.device)


def _check(entries: Sequence[Entry], recipe: Mapping[str, Any], group: Group) -> None:
    if any(entry.form.whole_batch for entry in entries) and recipe["batch_size"] < group.size:
        raise UserError(f"{group.size} processes for steps of {recipe['batch_size']} pairs: ask for fewer")
    selects = recipe["checkpoint"] == "best" or recipe["patience"] is not None
    if selects and all(entry.selection is None for entry in entries):
        names = ", ".join(entry.name for entry in entries)
        raise UserError(f"{names} has no selection set: use a recipe with checkpoint=last and patience=null")


def _model(
    attempt: Attempt, library: Library, tokenizer: PreTrainedTokenizerBase, entries: Sequence[Entry]
) -> tuple[Trained, Table | None]:
    """The encoder of an earlier stage or the pretrained one, with heads that are always fresh."""
    stage, recipe = attempt.stage, attempt.stage.spec["recipe"]
    init = attempt.upstream("init") / "checkpoint" if "init" in stage.upstream else None
    encoder = inputs.encoder(library, stage, init, recipe["dropout"])
    encoder.check(len(tokenizer), recipe["max_length"])
    torch.manual_seed(stage.spec["seed"])
    heads = {entry.name: entry.form.head(entry.task, encoder) for entry in entries}
    table = vocabulary.cut(encoder, [e.form for e in entries], _read(entries), stage.numerics["embeddings"])
    origin = stage.upstream.get("init") or ("pretrained" if stage.spec["model"]["weights"] else "random")
    print(f"encoder: {origin}; fresh heads: {', '.join(heads)}")
    attempt.note(encoder=origin, fresh_heads=list(heads))
    return Trained(encoder, heads), table


def _read(entries: Sequence[Entry]) -> Iterator[Features]:
    """Everything that a training reads."""
    for entry in entries:
        yield entry.features
        if entry.selection is not None:
            yield entry.selection.features
