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

import torch

from xstilts.data.batches import Features, gather, micro_batches
from xstilts.data.library import Library
from xstilts.data.mixture import Mixture
from xstilts.errors import UserError
from xstilts.model import optimizer, vocabulary
from xstilts.model.vocabulary import Table
from xstilts.store import Stopped
from xstilts.work import checkpoint, inputs
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

    Raises `Stopped` when asked to stop, after saving the state that the next attempt resumes from.
    """
    # What is trained on what.
    stage, recipe, seed = attempt.stage, attempt.stage.spec["recipe"], attempt.stage.spec["seed"]
    machine = Machine.of(stage.numerics, recipe["precision"])
    library = Library(stage.place["library"])
    tokenizer = inputs.tokenizer(library, stage)
    entries = [Entry.read(library, stage, values, tokenizer) for values in stage.spec["mixture"]]
    _check(entries, recipe)
    mixture = Mixture.plan([len(e.features) for e in entries], [e.rate for e in entries], recipe, seed)
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
    state, best, metrics = resume(attempt, trained, adamw, machine.facts() | {"embeddings": rows})
    earlier, began = state.seconds, time.monotonic()
    saved = began

    while not state.over(mixture.steps, recipe["patience"]):
        # One update: the units of this step, in micro-batches whose summed gradients do not depend on the cut.
        turn, units = mixture.batch(state.step)
        entry = entries[turn]
        torch.manual_seed(mixture.dropout_seed(state.step))
        loss = terms = torch.zeros((), device=machine.device)
        cuts = [units] if entry.form.whole_batch else micro_batches(entry.features, units, machine.budget)
        for cut in cuts:
            batch = entry.form.corrupt(gather(entry.features, cut), tokenizer, mixture.noise(state.step))
            batch = batch.to(machine.device)
            with machine.autocast():
                hidden = encoder(batch.tokens, batch.starts, lengths=batch.lengths, firsts=entry.form.reads_firsts)
                part, count = entry.form.loss(heads[entry.name], hidden, batch)
            part.backward()
            loss, terms = loss + part.detach(), terms + count
            state.tokens += len(batch.tokens)
        rate = optimizer.rate(state.step, mixture.steps, recipe)
        norm = optimizer.step(adamw, rate, terms, recipe["clip"], broken)
        state.window.append((turn, loss / terms.clamp(min=1), norm))
        state.step += 1
        state.seconds = earlier + time.monotonic() - began

        # What is due after it. Only here the device is waited for.
        ended = state.step == mixture.steps
        evaluate = ended or state.step % evaluate_every == 0
        log = ended or state.step % LOG_EVERY == 0
        stop = attempt.stopping()
        save = stop or time.monotonic() - saved > stage.numerics["save_every"]
        if evaluate or log or save:
            state.read_window()
        if log or state.diverged is not None:
            metrics.write(step=state.step, lr=rate, tokens=state.tokens, **summary(state.window, list(heads)))
            state.window = []
        if evaluate or state.diverged is not None:
            best = _evaluate(state, trained, entries, machine, tokenizer, recipe, best, metrics)
        if save and state.diverged is None:
            attempt.check()
            checkpoint.save_state(attempt.folder / "resume", trained, adamw, best, asdict(state), metrics.path)
            attempt.saved()
            saved = time.monotonic()
            if stop:
                raise Stopped(f"after step {state.step} of {mixture.steps}")
        attempt.progress(state.step, mixture.steps, stage.label)

    metrics.close()
    _publish(attempt, state, best or trained.weights(), table, entries, mixture.steps, machine)


def _read(entries: Sequence[Entry]) -> Iterator[Features]:
    """Everything that a training reads."""
    for entry in entries:
        yield entry.features
        if entry.selection is not None:
            yield entry.selection.features


def _check(entries: Sequence[Entry], recipe: Mapping[str, Any]) -> None:
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
