"""From a recipe's sections to what one training does, with nothing left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

from xstilts.config import Checkpoint, Recipe, Sampler, Training
from xstilts.errors import UserError
from xstilts.task import Task

_MAY_BE_NULL = {"epochs", "steps", "dropout", "eval_every", "selection_items", "patience", "cap", "bucket"}
#: What a value must fulfil to be one that can be trained with.
_RULES = {
    "at least 0": ("lr", "weight_decay", "stride"),
    "at least 1": ("batch_size", "steps", "max_query_length", "eval_every", "selection_items", "patience", "cap"),
    "at least 2": ("bucket",),
    "at least 8": ("max_length",),  # the special tokens of a pair, and something of both
    "more than 0": ("eps", "clip", "epochs", "temperature"),
    "from 0 to 1": ("warmup",),
    "from 0, and less than 1": ("beta1", "beta2", "dropout"),
}
_HOLDS = {
    "at least 0": lambda v: v >= 0,
    "at least 1": lambda v: v >= 1,
    "at least 2": lambda v: v >= 2,
    "at least 8": lambda v: v >= 8,
    "more than 0": lambda v: v > 0,
    "from 0 to 1": lambda v: 0 <= v <= 1,
    "from 0, and less than 1": lambda v: 0 <= v < 1,
}


def training(recipe: Recipe, entries: Sequence[dict[str, Any]], phase: str, model: str) -> dict[str, Any]:
    """The recipe of one training of a mixture's entries. Raises `UserError` naming what a recipe does not say.

    Entries with a fixed rate come on top of what the training is about, and have no say in how it is done.
    """
    entries = [e for e in entries if e.get("rate") is None] or entries
    values = _said(recipe, entries, phase, model)
    where = f"for {'+'.join(e['name'] for e in entries)} in the {phase} phase"
    open_ = [k for k, v in values.items() if v is None and k not in _MAY_BE_NULL]
    if values["steps"] is None and values["epochs"] is None:
        open_.append("steps or epochs")
    if open_:
        raise UserError(f"recipe={recipe.name} does not say {', '.join(open_)} {where}")
    for rule, keys in _RULES.items():
        for key in keys:
            if values[key] is not None and not _HOLDS[rule](values[key]):
                raise UserError(f"recipe={recipe.name}: {key}={values[key]} {where}: it must be {rule}")
    if values["checkpoint"] is Checkpoint.last:
        # Only watching the curve is left of the selection, and that changes no weight.
        values["eval_every"] = values["patience"] = values["selection_items"] = None
    if len(entries) == 1:
        values["sampler"], values["temperature"], values["cap"] = "proportional", 1.0, None
    elif values["cap"] is not None and values["sampler"] is not Sampler.temperature:
        raise UserError(f"recipe={recipe.name}: cap={values['cap']} {where} needs sampler=temperature")
    if values["bucket"] is None:
        del values["bucket"]  # ids are those of before there was the key
    return {k: v.value if isinstance(v, Enum) else v for k, v in values.items()}


def limits(recipe: Recipe, task: Task, model: str) -> dict[str, Any]:
    """How an evaluation of a task reads its items: as a training on it would."""
    return training(recipe, [{"name": task.name, "task": task.identity()}], "target", model)


def _said(recipe: Recipe, entries: Sequence[dict[str, Any]], phase: str, model: str) -> dict[str, Any]:
    """What the recipe's sections say of a training, later ones over earlier ones."""
    formats = {str(e["task"]["format"]) for e in entries}
    sections = [recipe.common]
    if len(formats) == 1:
        (name,) = formats
        sections.append(recipe.formats.get(name, Training()))
        sections.append(recipe.models.get(model, {}).get(name, Training()))
    sections.append(recipe.tasks.get(entries[0]["name"], Training()) if len(entries) == 1 else recipe.mixture)
    sections.append(getattr(recipe, phase))
    values: dict[str, Any] = {f.name: None for f in fields(Training)}
    for section in sections:
        said = {k: v for k, v in vars(section).items() if v is not None}
        # Epochs and steps are two ways to say one thing: the later section's way counts, and steps in the same one.
        if "steps" in said or "epochs" in said:
            values["steps"] = values["epochs"] = None
        values.update(said)
        if "steps" in said:
            values["epochs"] = None
    return values
