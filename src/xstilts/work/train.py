"""Training, whatever phase it is called in: the intermediate task, a target, the pretraining of a toy model.

One loop, read from top to bottom in `run`. What is not in it: what is trained on what (`xstilts.work.setting`), the
gradient of a step (`xstilts.work.step`), how a format masks and what its loss is (`xstilts.formats`), which units meet
in a step (`xstilts.data.mixture`), the update (`xstilts.model.optimizer`).
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import torch

from xstilts.model import optimizer
from xstilts.store import Stopped
from xstilts.work import checkpoint, step
from xstilts.work.attempt import Attempt
from xstilts.work.checkpoint import Weights
from xstilts.work.metrics import LOG_EVERY, Metrics, summary
from xstilts.work.setting import Setting
from xstilts.work.state import State, resume


def run(attempt: Attempt) -> None:
    """Train what the stage says; leaves `checkpoint/` and `metrics.jsonl` in the attempt's folder.

    Raises `Stopped` when asked to stop, after saving the state that the next attempt resumes from. Every rank of the
    attempt's group calls this; what ranks could disagree about (a signal, a clock, a score) is summed or told.
    """
    setting = Setting.of(attempt)
    recipe, group, mixture, trained = setting.recipe, setting.group, setting.mixture, setting.trained
    evaluate_every = recipe["eval_every"] or mixture.epoch
    adamw = optimizer.build(trained.own.values(), recipe)
    total = group.length if trained.sharded else None
    broken = torch.zeros((), device=setting.machine.device)  # see optimizer.step
    state, best, metrics = resume(attempt, trained, adamw, setting.facts)
    earlier, began = state.seconds, time.monotonic()
    saved = began

    while not state.over(mixture.steps, recipe["patience"]):
        # One update.
        turn, units = mixture.batch(state.step)
        loss, terms, tokens = step.gradients(setting, setting.entries[turn], units, state.step)
        rate = optimizer.rate(state.step, mixture.steps, recipe)
        norm = optimizer.step(adamw, rate, terms, recipe["clip"], broken, total)
        state.window.append((turn, loss / terms.clamp(min=1), norm))
        state.step += 1
        state.seconds = earlier + time.monotonic() - began

        # What is due after it. Only here the device is waited for.
        ended = state.step == mixture.steps
        evaluate = ended or state.step % evaluate_every == 0
        log = ended or state.step % LOG_EVERY == 0
        late = time.monotonic() - saved > attempt.stage.numerics["save_every"]
        stop, save, tokens = group.total(attempt.stopping(), late, tokens)
        save = stop or save
        state.tokens += tokens
        if evaluate or log or save:
            state.read_window()
        if log or state.diverged is not None:
            losses = summary(state.window, [entry.name for entry in setting.entries])
            metrics.write(step=state.step, lr=rate, tokens=state.tokens, **losses)
            state.window = []
        if evaluate or state.diverged is not None:
            best = _evaluate(setting, state, best, metrics)
        if save and state.diverged is None:
            if group.first:
                attempt.check()
            checkpoint.save_state(attempt.folder / "resume", trained, adamw, best, asdict(state), metrics.path, group)
            if group.first:
                attempt.saved()
            saved = time.monotonic()
            if stop:
                raise Stopped(f"after step {state.step} of {mixture.steps}")
        attempt.progress(state.step, mixture.steps)

    metrics.close()
    weights = best or trained.weights()
    if trained.sharded:
        weights = weights.joined(group)
    if group.first:
        _publish(attempt, setting, state, weights)


def _evaluate(setting: Setting, state: State, best: Weights | None, metrics: Metrics) -> Weights | None:
    """Score every head on its selection items; the weights that are best from now on, where the recipe keeps them.

    The first rank scores, and the others wait; where weights are sharded all do the same, and the first one's count.
    """
    group, trained = setting.group, setting.trained
    holds = group.first or trained.sharded  # something that no other rank has
    scores = _scores(setting) if holds else {}
    scores = group.tell(scores)
    if not scores:
        return best
    mean = sum(scores.values()) / len(scores)
    each = {f"selection/{name}": value for name, value in scores.items()} if len(scores) > 1 else {}
    metrics.write(step=state.step, selection=mean, **each)
    known = {name: None if math.isnan(value) else value for name, value in scores.items()}
    state.history.append({"step": state.step, "score": None if math.isnan(mean) else mean, "entries": known})
    newest = state.best == len(state.history) - 1
    return trained.weights().copy() if newest and holds and setting.recipe["checkpoint"] == "best" else best


def _scores(setting: Setting) -> dict[str, float]:
    """Of every entry that is selected on."""
    return {
        entry.name: entry.selection.score(setting.trained, entry.name, setting.machine, setting.tokenizer)
        for entry in setting.entries
        if entry.selection is not None
    }


def _publish(attempt: Attempt, setting: Setting, state: State, weights: Weights) -> None:
    """Write the checkpoint, and the facts that go with it into the record.

    A training that diverged ends with its last finite weights, or the best before; it is flagged, not dropped.
    """
    recipe, entries, table, steps = setting.recipe, setting.entries, setting.table, setting.mixture.steps
    best = state.best if recipe["checkpoint"] == "best" else None
    chosen: dict[str, Any] = {"step": state.step, "score": None}
    if state.history:
        chosen = state.history[-1 if best is None else best]
    at = state.step if best is None else chosen["step"]
    collapsed = {
        entry.name: entry.selection.collapsed(chosen["entries"][entry.name])
        for entry in entries
        if entry.selection is not None
    }
    facts = {
        "step": at,
        "steps": steps,
        "selection": chosen,
        "history": state.history,
        "collapsed": collapsed,
        "diverged": state.diverged,
        "heads": {entry.name: entry.task.identity() for entry in entries},
    }
    if table is not None:
        updates = at if state.diverged is None else min(at, state.diverged - 1)
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
        peak_memory=setting.machine.peak_memory(),
    )
