"""A cell: one (model, inter, regime, target, recipe, seed), and the chain of stages that gives its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cached_property
from typing import Any

from xstilts import task
from xstilts.config import Checkpoint, Entry, Inter, Model, Recipe, Regime, Target, Training, World, typed
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.sweep.grid import Choice, Point
from xstilts.sweep.inputs import Inputs
from xstilts.task import Task

#: Formats whose evaluation reads a middle layer of the encoder and has no head.
RETRIEVAL = ("nearest", "mining")


@dataclass(frozen=True, eq=False)
class Cell:
    """One row of choices of a sweep, resolved."""

    choices: dict[str, Choice]
    model: Model
    seed: int
    overrides: tuple[str, ...]

    @cached_property
    def names(self) -> dict[str, Any]:
        """What identifies the cell in tables."""
        labels = {group: self.choices[group].label for group in ("model", "inter", "regime", "target", "recipe")}
        return {**labels, "seed": self.seed}

    @property
    def inter(self) -> Inter:
        return self.choices["inter"].object

    @property
    def regime(self) -> Regime:
        return self.choices["regime"].object

    @property
    def target(self) -> Target:
        return self.choices["target"].object

    @property
    def recipe(self) -> Recipe:
        return self.choices["recipe"].object

    @property
    def world(self) -> World:
        return self.choices["world"].object

    @property
    def same_task(self) -> bool:
        """Whether the intermediate task trains on the target's own training data."""
        return self.choices["inter"].name in self.target.same_task


def cell(point: Point) -> Cell:
    """Resolve a point of the grid: a world may replace what a model is, as the toy world does with its own three sizes."""
    model, world = point.choices["model"], point.choices["world"].object
    resolved = model.object
    if world.kind == "toy":
        from xstilts.data.toy.models import settings

        resolved = typed("model", {**model.raw, **settings(model.name)}, model.label)
    return Cell(point.choices, resolved, point.seed, point.overrides)


def chain(cell: Cell, inputs: Inputs) -> list[Stage]:
    """The stages of a cell in order: pretraining if any, the intermediate phase, the target phases, the evaluation."""
    stages: list[Stage] = []
    model = inputs.model(cell.model)

    def train(mixture: Sequence[Entry], phase: str, languages: Sequence[str] = ("en",)) -> None:
        entries = [_entry(entry, inputs, languages) for entry in mixture]
        recipe = training(cell.recipe, entries, phase)
        names = "+".join(e.name for e in mixture)
        before = stages[-1].about["label"] if stages else cell.choices["model"].label
        stages.append(
            Stage(
                kind="train",
                spec={"model": model, "mixture": entries, "recipe": recipe, "seed": cell.seed},
                upstream={"init": stages[-1].id} if stages else {},
                about={"label": f"{before} > {names}", "model": cell.model.name, "parameters": cell.model.parameters},
                place=inputs.place(cell.model),
            )
        )

    if cell.model.pretrain:
        train(cell.model.pretrain, "pretrain")
    if cell.inter.mixture:
        mlm = [cell.regime.mlm] if cell.regime.mlm else []
        train([*cell.inter.mixture, *mlm], "inter", cell.regime.languages)
    for mixture in cell.target.train:
        train(mixture, "target")
    stages.append(_evaluation(cell, model, stages[-1] if stages else None, inputs))
    return stages


def _entry(entry: Entry, inputs: Inputs, languages: Sequence[str]) -> dict[str, Any]:
    """An entry of a mixture as a stage has it: the head's task, the files it trains and is selected on."""
    tasks = [inputs.task(name) for name in entry.tasks]
    head = replace(tasks[0], name=entry.name)
    if any(t.format != head.format or t.labels != head.labels for t in tasks):
        raise UserError(f"{entry.name}: {', '.join(entry.tasks)} cannot share a head: their formats or labels differ")
    selection = next((t.selection for t in tasks if t.selection), None)
    return {
        "name": entry.name,
        "task": head.identity(),
        "train": [inputs.part(t, _train_part(t, language)) for t in tasks for language in languages],
        "selection": inputs.part(tasks[0], selection) if selection else None,
        "rate": entry.rate,
    }


def _train_part(task: Task, language: str) -> str:
    if task.train is None:
        raise UserError(f"the task {task.name} has no training data: it can be evaluated, not trained on")
    return task.train if language == "en" else f"{language}/{task.train.split('/')[1]}"


def training(recipe: Recipe, entries: Sequence[dict[str, Any]], phase: str) -> dict[str, Any]:
    """The recipe of one training with nothing left open. Raises `UserError` naming what a recipe does not say."""
    formats = {str(e["task"]["format"]) for e in entries}
    sections = [recipe.common]
    if len(formats) == 1:
        sections.append(recipe.formats.get(formats.pop(), Training()))
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
    open_ = [k for k, v in values.items() if v is None and k not in _MAY_BE_NULL]
    if values["steps"] is None and values["epochs"] is None:
        open_.append("steps or epochs")
    if open_:
        names = "+".join(e["name"] for e in entries)
        raise UserError(f"recipe={recipe.name} does not say {', '.join(open_)} for {names} in the {phase} phase")
    if values["checkpoint"] is Checkpoint.last:
        # Only watching the curve is left of the selection, and that changes no weight.
        values["eval_every"] = values["patience"] = values["selection_items"] = None
    if len(entries) == 1:
        values["sampler"], values["temperature"], values["cap"] = "proportional", 1.0, None
    return {k: v.value if isinstance(v, Enum) else v for k, v in values.items()}


_MAY_BE_NULL = {"epochs", "steps", "dropout", "eval_every", "selection_items", "patience", "cap"}


def _evaluation(cell: Cell, model: dict[str, Any], before: Stage | None, inputs: Inputs) -> Stage:
    task = inputs.task(cell.target.evaluate)
    retrieval = task.format in RETRIEVAL
    if before is None and cell.target.head:
        raise UserError(f"target={cell.target.name} needs the head {cell.target.head!r}, and nothing trains it")
    limits = training(cell.recipe, [{"name": task.name, "task": task.identity()}], "target")
    spec = {
        "model": model,
        "task": task.identity(),
        "head": cell.target.head,
        "layer": cell.model.retrieval_layer if retrieval else None,
        "parts": {part: inputs.part(task, part) for part in task.evaluated if inputs.has(task, part)},
        "limits": {key: limits[key] for key in ("max_length", "stride", "max_query_length")},
        "precision": limits["precision"],
    }
    label = f"{before.label if before else cell.choices['model'].label} : {cell.choices['target'].name}"
    about = {"label": label, "model": cell.model.name, "parameters": cell.model.parameters, "languages": task.languages}
    upstream = {"checkpoint": before.id} if before else {}
    return Stage("evaluate", spec, upstream, about, inputs.place(cell.model))


__all__ = ["Cell", "cell", "chain", "task", "training"]
