"""The chain of stages that gives a cell its scores: pretraining if any, intermediate phase, target phases, evaluation.

Cells share nearly everything they are made of. What a chain says beside seeds and upstream ids is its *outline*, made
once for the same choices; and what outlines are made of is made once for the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from xstilts.config import Entry, Model
from xstilts.errors import UserError, choices
from xstilts.stage import Stage, digest
from xstilts.sweep.cell import Cell
from xstilts.sweep.inputs import Inputs
from xstilts.sweep.recipes import limits, training
from xstilts.task import Task

#: Formats whose evaluation reads a middle layer of the encoder and has no head.
RETRIEVAL = ("nearest", "mining")


@dataclass(frozen=True)
class Step:
    """One stage of an outline."""

    kind: str
    name: str  # of its mixture, or of the target
    spec: dict[str, Any]

    @cached_property
    def digests(self) -> dict[str, str]:
        return {key: digest(value) for key, value in self.spec.items()}


@dataclass(eq=False)
class Chains:
    """The chains of cells that read one library."""

    inputs: Inputs
    _outlines: dict[tuple[str, ...], list[Step]] = field(default_factory=dict)
    _entries: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def chain(self, cell: Cell) -> list[Stage]:
        """The stages of a cell, each after the one it starts from."""
        key = tuple(choice.label for choice in cell.choices.values())
        if key not in self._outlines:
            self._outlines[key] = self._outline(cell)
        stages: list[Stage] = []
        for step in self._outlines[key]:
            before = stages[-1] if stages else None
            label = before.label if before else cell.choices["model"].label
            about = {"model": cell.model.name, "parameters": cell.model.parameters}
            if step.kind == "train":
                spec, role = {**step.spec, "seed": cell.seed}, "init"
                about["label"] = f"{label} > {step.name}"
            else:
                spec, role = step.spec, "checkpoint"
                about |= {"label": f"{label} : {step.name}", "languages": self._task(cell).languages}
            upstream = {role: before.id} if before else {}
            place = self.inputs.place(cell.model)
            stages.append(Stage(step.kind, spec, upstream, about, place, digests=step.digests))
        return stages

    def lacking(self, cell: Cell) -> list[str]:
        """Why the world has data of a cell nowhere, a reason a task."""
        trained = [
            self.inputs.elsewhere(name, language).name
            for _, mixture, languages in phases(cell)
            for entry in mixture
            for name in entry.tasks
            for language in entry.languages or languages
        ]
        return [
            reason for name in dict.fromkeys([*trained, cell.target.evaluate]) if (reason := self.inputs.lacking(name))
        ]

    def _outline(self, cell: Cell) -> list[Step]:
        model = self.inputs.model(cell.model)
        steps = [
            Step("train", _said(mixture, languages), self._training(cell, model, mixture, phase, languages))
            for phase, mixture, languages in phases(cell)
        ]
        _check_head(cell, self._task(cell), steps)
        return [*steps, Step("evaluate", cell.choices["target"].name, self._evaluation(cell, model))]

    def _training(
        self, cell: Cell, model: dict[str, Any], mixture: Sequence[Entry], phase: str, languages: Sequence[str]
    ) -> dict[str, Any]:
        entries = [self._entry(entry, entry.languages or languages) for entry in mixture]
        recipe = training(cell.recipe, entries, phase, cell.model.name)
        check_positions(cell, recipe, "+".join(e.name for e in mixture), phase)
        return {"model": model, "mixture": entries, "recipe": recipe}

    def _entry(self, entry: Entry, languages: Sequence[str]) -> dict[str, Any]:
        """An entry of a mixture as a stage has it: the head's task, the files it trains and is selected on."""
        key = (entry.name, *entry.tasks, entry.rate, *languages)
        if key not in self._entries:
            tasks = [self.inputs.task(name) for name in entry.tasks]
            head = replace(tasks[0], name=entry.name)
            if any(t.format != head.format or t.labels != head.labels for t in tasks):
                raise UserError(
                    f"{entry.name}: {', '.join(entry.tasks)} cannot share a head: their formats or labels differ"
                )
            selected = next((t for t in tasks if t.selection), None)
            parts = [self.inputs.train(name, language) for name in entry.tasks for language in languages]
            self._entries[key] = {
                "name": entry.name,
                "task": head.identity(),
                "train": [part for place, part in enumerate(parts) if part not in parts[:place]],
                "selection": self.inputs.part(selected, str(selected.selection)) if selected else None,
                "rate": entry.rate,
            }
        return self._entries[key]

    def _task(self, cell: Cell) -> Task:
        return self.inputs.task(cell.target.evaluate)

    def _evaluation(self, cell: Cell, model: dict[str, Any]) -> dict[str, Any]:
        task, recipe = self._task(cell), cell.recipe
        read = limits(recipe, task, cell.model.name)
        check_positions(cell, read, task.name, "target")
        if task.name not in self._parts:
            self._parts[task.name] = self.inputs.evaluated(task)
        return {
            "model": model,
            "task": task.identity(),
            "head": cell.target.head,
            "layer": cell.model.retrieval_layer if task.format in RETRIEVAL else None,
            "parts": self._parts[task.name],
            "limits": {key: read[key] for key in ("max_length", "stride", "max_query_length")},
            "precision": read["precision"],
        }


def phases(cell: Cell) -> list[tuple[str, Sequence[Entry], Sequence[str]]]:
    """The trainings of a cell in order: phase, mixture, languages of its training data."""
    found: list[tuple[str, Sequence[Entry], Sequence[str]]] = []
    if cell.model.pretrain:
        found.append(("pretrain", cell.model.pretrain, ["en"]))
    if cell.inter.mixture:
        mlm = [cell.regime.mlm] if cell.regime.mlm else []
        found.append(("inter", [*cell.inter.mixture, *mlm], cell.regime.languages))
    return [*found, *(("target", mixture, ["en"]) for mixture in cell.target.train)]


def _said(mixture: Sequence[Entry], languages: Sequence[str]) -> str:
    """A mixture for people: its heads, and the languages it is trained on in where there are others than English."""
    heads = "+".join(entry.name for entry in mixture)
    return heads if list(languages) == ["en"] else f"{heads} in {' '.join(languages)}"


def longest(model: Model) -> int | None:
    """Tokens of the longest sequence a model has positions for; as `xstilts.model.encoder`, without importing torch."""
    rows = model.config.get("max_position_embeddings")
    # RoBERTa counts positions from behind the padding's id.
    return rows and int(rows) - (
        model.config["pad_token_id"] + 1 if model.architecture.startswith("xlm-roberta") else 0
    )


def check_positions(cell: Cell, recipe: dict[str, Any], name: str, phase: str) -> None:
    most = longest(cell.model)
    if most is not None and recipe["max_length"] > most:
        raise UserError(
            f"recipe={cell.choices['recipe'].label} reads max_length={recipe['max_length']} of {name}, and "
            f"model={cell.model.name} has {most} positions: set recipe.{phase}.max_length={most} or less"
        )


def _check_head(cell: Cell, task: Task, steps: Sequence[Step]) -> None:
    """The head that evaluates is one that the last training trains, and one for this task."""
    head, name = cell.target.head, cell.choices["target"].label
    if head is None and task.format in RETRIEVAL:
        return
    trained = {entry["name"]: entry["task"] for entry in steps[-1].spec["mixture"]} if steps else {}
    hint = f"; {choices(str(head), trained)}" if trained else ""
    if head is None:
        raise UserError(f"target={name} evaluates {task.name}, which needs a head{hint}")
    if head not in trained:
        raise UserError(f"target={name} needs the head {head!r}, and nothing trains it{hint}")
    if any(trained[head][key] != getattr(task, key) for key in ("format", "labels")):
        raise UserError(f"target={name}: the head {head!r} is not one for {task.name}: their formats or labels differ")
