"""The identity of what stages read: data and weights of the library, from its manifests alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from xstilts import task as tasks
from xstilts.config import Model, World
from xstilts.data import sources, toy
from xstilts.data.library import Library
from xstilts.errors import UserError, choices
from xstilts.task import Task


@dataclass(eq=False)
class Inputs:
    """One world's library, as far as it is filled. What is not there has a *provisional* identity."""

    world: World
    root: Path
    unfilled: dict[str, Task] = field(default_factory=dict)  # read, and not in the library
    unfilled_models: dict[str, Model] = field(default_factory=dict)
    used: dict[str, Task] = field(default_factory=dict)  # every task that a part is read of
    models: dict[str, Model] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.library = Library(self.root)
        self._manifest = cache(self.library.manifest)
        self._model_manifest = cache(self.library.model_manifest)
        self.task = cache(self._task)  # type: ignore[method-assign]
        self.lacking = cache(self._lacking)  # type: ignore[method-assign]

    @property
    def provisional(self) -> bool:
        return bool(self.unfilled or self.unfilled_models)

    def task(self, name: str) -> Task:
        """A task as this world has it. Replaced by its cached form at construction."""
        return self._task(name)

    def _task(self, name: str) -> Task:
        task = tasks.load(name)
        manifest = self._manifest(name)
        if manifest is not None and manifest["world"] != self.world.name:
            raise UserError(
                f"the library {self.root} holds {name} of world={manifest['world']}, not of world={self.world.name}: "
                "give each world a library of its own (library=PATH)"
            )
        return toy.localised(task, self.world.sizes) if self.world.kind == "toy" else task

    def elsewhere(self, name: str, language: str) -> Task:
        """The task whose training part is that of a task in a language: itself, or one of its own such as `mnli.de`."""
        task = self.task(name)
        if task.train is None:
            raise UserError(f"the task {name} has no training data: it can be evaluated, not trained on")
        if self.world.kind == "toy":
            language = toy.stand_in(task, language)
        return task if language == task.train.split("/")[0] else self.task(f"{name}.{language}")

    def train(self, name: str, language: str) -> dict[str, Any]:
        """The part of a task that is trained on in a language."""
        task = self.elsewhere(name, language)
        if task.name != name and (reason := self.lacking(task.name)):
            raise UserError(reason)
        return self.part(task, str(task.train))

    def lacking(self, name: str) -> str | None:
        """Why this world has a task nowhere; None where it has. Replaced by its cached form at construction."""
        return self._lacking(name)

    def _lacking(self, name: str) -> str | None:
        task = self.task(name)
        return sources.lacking(asdict(self.world), task) if self._manifest(name) is None else None

    def has(self, task: Task, part: str) -> bool:
        """Whether the library has a part; of a task that is not filled yet, every published one."""
        manifest = self._manifest(task.name)
        return part in manifest["files"] if manifest else True

    def evaluated(self, task: Task) -> dict[str, dict[str, Any]]:
        """The parts of an evaluation, as far as the library has them; what every language needs must be there."""
        found = {part: self.part(task, part) for part in task.evaluated if part in task.shared or self.has(task, part)}
        if not set(found).difference(task.shared):
            raise UserError(f"the library {self.root} has nothing to evaluate {task.name} on")
        return found

    def part(self, task: Task, part: str) -> dict[str, Any]:
        """What a stage's specification says of a part that it reads."""
        self.used[task.name] = task
        manifest = self._manifest(task.name)
        if manifest is None:
            self.unfilled[task.name] = task
            if part not in task.parts:
                raise UserError(f"the task {task.name} has no part {part!r}; {choices(part, task.parts)}")
            return {"task": task.name, "part": part, "rows": task.counts.get(part), "sha256": None}
        if part not in manifest["files"]:
            raise UserError(
                f"the library {self.root} has no part {part!r} of {task.name}; {choices(part, manifest['files'])}"
            )
        found = manifest["files"][part]
        return {"task": task.name, "part": part, "rows": found["rows"], "sha256": found["sha256"]}

    def model(self, model: Model) -> dict[str, Any]:
        """What a specification says of the pretrained model."""
        self.models[model.name] = model
        manifest = self._model_manifest(model.name)
        if manifest is None:
            self.unfilled_models[model.name] = model
        random = model.random or bool(model.pretrain)
        weights = None if random else manifest["weights"] if manifest else f"provisional {model.hub}"
        if manifest and not random and weights is None:
            raise UserError(
                f"the library {self.root} has the tokenizer of model={model.name} and no weights: "
                "give them (world.weights=FOLDER for world=files, do=fetch for world=hub)"
            )
        return {
            "architecture": model.architecture,
            "config": model.config,
            "weights": weights,
            "tokenizer": manifest["tokenizer"] if manifest else None,
        }

    def place(self, model: Model) -> dict[str, Any]:
        return {"library": str(self.root.absolute()), "model": model.name}

    def missing(self, task: Task) -> list[str]:
        """Evaluated parts that the library does not have although the task is filled."""
        return [p for p in task.evaluated if not self.has(task, p)]

    def partial(self, task: Task) -> bool:
        """Whether the library holds a slice of the task, not the published whole."""
        manifest = self._manifest(task.name)
        return manifest is not None and not manifest["complete"]
