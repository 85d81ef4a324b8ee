"""The entries of a mixture: one head each, what it is trained on, and what it is selected on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from xstilts import formats
from xstilts.data.batches import Features
from xstilts.data.library import Library
from xstilts.errors import UserError, choices
from xstilts.formats.base import Format, Part
from xstilts.stage import Stage
from xstilts.task import Task
from xstilts.work import inputs
from xstilts.work.checkpoint import Trained
from xstilts.work.inference import infer
from xstilts.work.machine import Machine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Of the items that are selected on, where a recipe wants only some: all seeds are compared on the same ones.
ITEMS_SEED = 0


@dataclass(frozen=True)
class Entry:
    """One head of the mixture and what it is trained and selected on."""

    name: str
    task: Task
    form: Format
    features: Features
    selection: Selection | None
    rate: float | None  # a fixed share of the steps

    @classmethod
    def read(
        cls, library: Library, stage: Stage, values: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase
    ) -> Entry:
        """Of one entry of a stage's mixture; the parts it is trained on are read as one."""
        task, recipe = Task.from_dict(values["task"]), stage.spec["recipe"]
        form, limits, parts = formats.get(task.format), inputs.limits(recipe), values["train"]
        for part in parts:
            inputs.check(library, part["task"], part["part"], part["sha256"])

        def make() -> Features:
            tables = [inputs.part(library, part["task"], part["part"], part["sha256"]) for part in parts]
            return form.features(pa.concat_tables(tables), task, tokenizer, limits)

        features = inputs.features(library, stage, task, [part["sha256"] for part in parts], limits, make)
        selection = None
        if values["selection"] is not None:
            selection = Selection.read(library, stage, task, form, values["selection"], tokenizer)
        return cls(values["name"], task, form, features, selection, values["rate"])


@dataclass(frozen=True)
class Selection:
    """English items that no result is ever reported of, on which a head says how good it is."""

    task: Task
    form: Format
    part: Part
    table: pa.Table
    features: Features
    majority: float | None  # the score of always giving the commonest answer

    @classmethod
    def read(
        cls,
        library: Library,
        stage: Stage,
        task: Task,
        form: Format,
        source: Mapping[str, Any],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Selection:
        """Of a mixture entry's `selection`; `recipe.selection_items` of its items, drawn without regard to the seed."""
        table = inputs.part(library, source["task"], source["part"], source["sha256"])
        items, limits, of = stage.spec["recipe"]["selection_items"], inputs.limits(stage.spec["recipe"]), []
        if items is not None:
            drawn = np.random.default_rng(ITEMS_SEED).permutation(table.num_rows)[:items]
            table, of = table.take(pa.array(np.sort(drawn))), [f"{items} items"]
        language, split = source["part"].split("/")
        make = partial(form.features, table, task, tokenizer, limits)
        features = inputs.features(library, stage, task, [source["sha256"], *of], limits, make)
        return cls(task, form, (language, split), table, features, form.majority(table, task))

    def score(self, trained: Trained, name: str, machine: Machine, tokenizer: PreTrainedTokenizerBase) -> float:
        """The task's own metric with the head of that name, of which more is better; NaN where it cannot be said."""
        features, tables = {self.part: self.features}, {self.part: self.table}
        outputs = trained(name, partial(infer, self.form, features=features, machine=machine, tokenizer=tokenizer))
        with machine.device:  # where neighbours are looked for
            predictions = self.form.decode(outputs, features, tables, self.task)
        scores = {score.metric: score.value for score in reversed(self.form.score(predictions, self.task))}
        if self.task.metric not in scores:
            raise UserError(
                f"task {self.task.name}: no metric {self.task.metric!r}; {choices(self.task.metric, scores)}"
            )
        return scores[self.task.metric]

    def collapsed(self, score: float | None) -> bool | None:
        """Whether that is no better than knowing nothing; None where nobody can say."""
        return None if self.majority is None or score is None else score <= self.majority + 1e-9
