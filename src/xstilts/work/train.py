"""Training, whatever phase it is called in: the intermediate task, a target, the pretraining of a toy model.

One loop, read from top to bottom in `run`. What is not in it: how a format masks and what its loss is
(`xstilts.formats`), which units meet in a step (`xstilts.data.mixture`), the update (`xstilts.model.optimizer`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from xstilts.data.batches import Batch, Features, gather
from xstilts.data.library import Library
from xstilts.data.mixture import Mixture
from xstilts.errors import UserError
from xstilts.model import optimizer, vocabulary
from xstilts.model.parallel import Group
from xstilts.model.vocabulary import Table
from xstilts.store import Stopped
from xstilts.work import checkpoint, inputs, share
from xstilts.work.attempt import Attempt
from xstilts.work.checkpoint import Trained, Weights
from xstilts.work.entries import Entry
from xstilts.work.machine import Machine
from xstilts.work.metrics import LOG_EVERY, Metrics, summary
from xstilts.work.state import State, resume

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def run(attempt: Attempt) -> None:
    """Train what the stage says; leaves `checkpoint/` and `metrics.jsonl` in the attempt's folder.

    Raises `Stopped` when asked to stop, after saving the state that the next attempt resumes from. Every rank of the
    attempt's group calls this; what ranks could disagree about (a signal, a clock, a score) is summed or told.
    """
    # What is trained on what.
    stage, recipe, seed = attempt.stage, attempt.stage.spec["recipe"], attempt.stage.spec["seed"]
    group = attempt.group
    machine = Machine.of(stage.numerics, recipe["precision"])
    library = Library(stage.place["library"])
    tokenizer = inputs.tokenizer(library, stage)
    entries = [Entry.read(library, stage, values, tokenizer) for values in stage.spec["mixture"]]
    _check(entries, recipe, group)
    mixture = Mixture.plan([e.features.lengths for e in entries], [e.rate for e in entries], recipe, seed)
    evaluate_every = recipe["eval_every"] or mixture.epoch

    # The model: the encoder of an earlier stage or the pretrained one, heads always fresh.
    init = attempt.upstream("init") / "checkpoint" if "init" in stage.upstream else None
    encoder = inputs.encoder(library, stage, init, recipe["dropout"])
    encoder.check(len(tokenizer), recipe["max_length"])
    torch.manual_seed(seed)
    heads = {entry.name: entry.form.head(entry.task, encoder) for entry in entries}
    table = vocabulary.cut(encoder, [e.form for e in entries], _read(entries), stage.numerics["embeddings"])
    origin = stage.upstream.get("init") or ("pretrained" if stage.spec["model"]["weights"] else "random")
    rows = len(encoder.embeddings.weight)
    print(f"encoder: {origin}; fresh heads: {', '.join(heads)}; {rows:,} embeddings train; {mixture.steps} steps")
    attempt.note(encoder=origin, fresh_heads=list(heads), embeddings=rows)
    trained = Trained(encoder, heads).to(machine.device).train()
    adamw = optimizer.build(trained, recipe)
    broken = torch.zeros((), device=machine.device)  # see optimizer.step
    facts = machine.facts() | {"embeddings": rows, "ranks": group.size}
    group.agree(facts)
    state, best, metrics = resume(attempt, trained, adamw, facts)
    earlier, began = state.seconds, time.monotonic()
    saved = began

    while not state.over(mixture.steps, recipe["patience"]):
        # One update: the units of this step, in micro-batches whose summed gradients do not depend on the cut.
        turn, units = mixture.batch(state.step)
        entry = entries[turn]
        apart = entry.form.whole_batch and group.size > 1
        torch.manual_seed(mixture.dropout_seed(state.step, group.rank))
        loss = terms = torch.zeros((), device=machine.device)
        tokens = 0
        for cut in share.cuts(entry.form, entry.features, units, machine.budget, group):
            batch = _batch(entry, cut, tokenizer, mixture, state.step, machine)
            tokens += len(batch.tokens)
            with machine.autocast():
                hidden = encoder(batch.tokens, batch.starts, lengths=batch.lengths, firsts=entry.form.reads_firsts)
                if apart:
                    whole = _batch(entry, share.order(units, group), tokenizer, mixture, state.step, machine)
                    batch, hidden = whole, share.together(entry.form, batch, hidden, whole, group)
                part, count = entry.form.loss(heads[entry.name], hidden, batch)
            part.backward()
            if apart and not group.first:  # all have the whole loss and the head's whole gradient: they count once
                heads[entry.name].zero_grad(set_to_none=True)
                continue
            loss, terms = loss + part.detach(), terms + count
        loss, terms = group.add_up(trained.parameters(), loss, terms)
        rate = optimizer.rate(state.step, mixture.steps, recipe)
        norm = optimizer.step(adamw, rate, terms, recipe["clip"], broken)
        state.window.append((turn, loss / terms.clamp(min=1), norm))
        state.step += 1
        state.seconds = earlier + time.monotonic() - began

        # What is due after it. Only here the device is waited for.
        ended = state.step == mixture.steps
        evaluate = ended or state.step % evaluate_every == 0
        log = ended or state.step % LOG_EVERY == 0
        late = time.monotonic() - saved > stage.numerics["save_every"]
        stop, save, tokens = group.total(attempt.stopping(), late, tokens)
        save = stop or save
        state.tokens += tokens
        if evaluate or log or save:
            state.read_window()
        if log or state.diverged is not None:
            metrics.write(step=state.step, lr=rate, tokens=state.tokens, **summary(state.window, list(heads)))
            state.window = []
        if evaluate or state.diverged is not None:
            if group.first:
                best = _evaluate(state, trained, entries, machine, tokenizer, recipe, best, metrics)
            state.history = group.tell(state.history)
        if save and state.diverged is None:
            if group.first:
                attempt.check()
                checkpoint.save_state(attempt.folder / "resume", trained, adamw, best, asdict(state), metrics.path)
                attempt.saved()
            saved = time.monotonic()
            if stop:
                raise Stopped(f"after step {state.step} of {mixture.steps}")
        attempt.progress(state.step, mixture.steps, stage.label)

    metrics.close()
    if group.first:
        _publish(attempt, state, best or trained.weights(), table, entries, mixture.steps, machine)


def _batch(
    entry: Entry,
    index: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    mixture: Mixture,
    step: int,
    machine: Machine,
) -> Batch:
    """Some units of a step, as the encoder reads them."""
    batch = entry.form.corrupt(gather(entry.features, index), tokenizer, mixture.noise(step))
    return batch.to(machine.device)


def _read(entries: Sequence[Entry]) -> Iterator[Features]:
    """Everything that a training reads."""
    for entry in entries:
        yield entry.features
        if entry.selection is not None:
            yield entry.selection.features


def _check(entries: Sequence[Entry], recipe: Mapping[str, Any], group: Group) -> None:
    if any(entry.form.whole_batch for entry in entries) and recipe["batch_size"] < group.size:
        raise UserError(f"{group.size} processes for steps of {recipe['batch_size']} pairs: ask for fewer")
    selects = recipe["checkpoint"] == "best" or recipe["patience"] is not None
    if selects and all(entry.selection is None for entry in entries):
        names = ", ".join(entry.name for entry in entries)
        raise UserError(f"{names} has no selection set: use a recipe with checkpoint=last and patience=null")


def _evaluate(
    state: State,
    trained: Trained,
    entries: Sequence[Entry],
    machine: Machine,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Mapping[str, Any],
    best: Weights | None,
    metrics: Metrics,
) -> Weights | None:
    """Score every head on its selection items; the weights that are best from now on, where the recipe keeps them."""
    scores = {
        entry.name: entry.selection.score(trained.encoder, trained.heads[entry.name], machine, tokenizer)
        for entry in entries
        if entry.selection is not None
    }
    if not scores:
        return best
    mean = sum(scores.values()) / len(scores)
    each = {f"selection/{name}": value for name, value in scores.items()} if len(scores) > 1 else {}
    metrics.write(step=state.step, selection=mean, **each)
    known = {name: None if math.isnan(value) else value for name, value in scores.items()}
    state.history.append({"step": state.step, "score": None if math.isnan(mean) else mean, "entries": known})
    newest = state.best == len(state.history) - 1
    return trained.weights().copy() if newest and recipe["checkpoint"] == "best" else best


def _publish(
    attempt: Attempt,
    state: State,
    weights: Weights,
    table: Table | None,
    entries: Sequence[Entry],
    steps: int,
    machine: Machine,
) -> None:
    """Write the checkpoint, and the facts that go with it into the record.

    A training that diverged ends with its last finite weights, or the best before; it is flagged, not dropped.
    """
    recipe = attempt.stage.spec["recipe"]
    best = state.best if recipe["checkpoint"] == "best" else None
    chosen: dict[str, Any] = {"step": state.step, "score": None}
    if state.history:
        chosen = state.history[-1 if best is None else best]
    step = state.step if best is None else chosen["step"]
    collapsed = {
        entry.name: entry.selection.collapsed(chosen["entries"][entry.name])
        for entry in entries
        if entry.selection is not None
    }
    facts = {
        "step": step,
        "steps": steps,
        "selection": chosen,
        "history": state.history,
        "collapsed": collapsed,
        "diverged": state.diverged,
        "heads": {entry.name: entry.task.identity() for entry in entries},
    }
    if table is not None:
        updates = step if state.diverged is None else min(step, state.diverged - 1)
        whole = table.whole(weights.encoder[table.name], optimizer.remainder(updates, steps, recipe))
        weights = Weights({**weights.encoder, table.name: whole}, weights.heads)
    attempt.check()
    checkpoint.save(attempt.folder / "checkpoint", weights, facts)
    known = [value for value in collapsed.values() if value is not None]
    attempt.note(
        step=facts["step"],
        selection=chosen["score"],
        collapsed=any(known) if known else None,
        diverged=state.diverged is not None,
        tokens=state.tokens,
        cut_tokens=sum(entry.features.cut for entry in entries),
        train_seconds=round(state.seconds, 3),
        peak_memory=machine.peak_memory(),
    )
