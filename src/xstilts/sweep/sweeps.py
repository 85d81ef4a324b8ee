"""The sweeps of a store: what was asked for, cell by cell, with the stages that answer it. STORE/sweeps/NAME.yaml."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from xstilts import files, owner
from xstilts.config import SWEEP_NAME
from xstilts.errors import DataError, UserError, choices
from xstilts.stage import digest
from xstilts.store import Store
from xstilts.sweep.plan import Plan
from xstilts.task import CONF


@dataclass
class Sweep:
    """A recorded grid; everything a report needs to know beside the stages' own outputs."""

    name: str
    created: str
    user: str
    command: list[str]
    cells: list[dict[str, Any]]
    stages: dict[str, dict[str, Any]]  # id -> kind, label, upstream, model, parameters
    seen: dict[str, dict[str, float]] = field(default_factory=dict)  # model -> language -> GiB of pretraining text
    keep: str = "inter"  # which of its weights stay, whatever else is run in this store

    def save(self, store: Store) -> None:
        """Replace the record; one JSON object a line, which is YAML too and reads fast."""
        path = place(store, self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        for key, value in asdict(self).items():
            if key == "cells":
                lines += ["cells:", *(f"- {_line(cell)}" for cell in value)]
            elif key == "stages":
                lines += ["stages:", *(f"  {name}: {_line(stage)}" for name, stage in value.items())]
            else:
                lines.append(f"{key}: {_line(value)}")
        files.write_bytes(path, ("\n".join(lines) + "\n").encode())


def _line(value: Any) -> str:
    """JSON that YAML reads as the same: it allows fewer characters to stand for themselves."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Takes JSON's 5e-05 for a number, which YAML 1.1 does not."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?\d+(\.\d+)?[eE][-+]?\d+$"), list("-0123456789"))


def place(store: Store, name: str) -> Path:
    """The file of a sweep. Raises `UserError` for a name that is no file name."""
    if not re.fullmatch(SWEEP_NAME, name):
        raise UserError(f"sweep={name}: a name is letters, digits and . _ + - after the first, such as sweep=first-try")
    return store.root / "sweeps" / f"{name}.yaml"


def names(store: Store) -> list[str]:
    try:
        found = os.listdir(store.root / "sweeps")  # a glob would take what it may not read for empty
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def load(store: Store, name: str) -> Sweep:
    path = place(store, name)
    if not path.exists():
        known = names(store)
        hint = (
            choices(name, known) if known else "it has none yet: start one with `python launch.py model=... inter=...`"
        )
        raise UserError(f"{store.root} has no sweep {name!r}; {hint}")
    try:
        return Sweep(**yaml.load(path.read_bytes(), Loader=_Loader))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise DataError(
            path, f"not a record of a sweep ({' '.join(str(error).split())}); restore or delete it"
        ) from None


def all_(store: Store) -> list[Sweep]:
    return [load(store, name) for name in names(store)]


def pretraining(seen: str | dict[str, float]) -> dict[str, float]:
    """GiB of pretraining text by language: a table itself, or the name of one in `conf/seen`."""
    return {code: size for code, size in seen.items() if size} if isinstance(seen, dict) else _table(seen)


@cache
def _table(seen: str) -> dict[str, float]:
    path = CONF / "seen" / f"{seen}.yaml"
    if not path.is_file():
        raise UserError(f"seen: no table {seen!r}; {choices(seen, [p.stem for p in path.parent.glob('*.yaml')])}")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _trained_on(plan: Plan, ids: list[str]) -> set[str]:
    """The tasks whose data a chain of stages trains on."""
    mixtures = [entry for s in ids for entry in plan.stages[s].spec.get("mixture", ())]
    return {part["task"] for entry in mixtures for part in entry["train"]}


def record(plan: Plan, command: list[str], name: str | None) -> Sweep:
    """The record of a plan. Its automatic name depends on its cells alone, so the same sweep has one record."""
    cells = []
    seen: dict[str, dict[str, float]] = {}
    for one, ids in zip(plan.cells, plan.chains, strict=True):
        inputs = plan.inputs(one)
        task = inputs.task(one.target.evaluate)
        seen[one.names["model"]] = pretraining(one.model.seen)
        cells.append(
            {
                **one.names,
                "parameters": one.model.parameters,
                "world": one.place,
                "synthetic": one.world.synthetic,
                "partial": any(inputs.partial(inputs.task(name)) for name in {task.name, *_trained_on(plan, ids)}),
                "same_task": one.same_task,
                "group": one.target.group,
                "task": task.name,
                "metric": task.metric,
                "languages": task.languages,
                "splits": task.splits,
                "stages": ids,
            }
        )
    stages = {
        s: {"kind": g.kind, "upstream": g.upstream, **{k: g.about[k] for k in ("label", "model", "parameters")}}
        for s, g in plan.stages.items()
    }
    if name is None:
        name = digest([[*one.names.values(), one.choices["world"].label] for one in plan.cells])[:8]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Sweep(name, now, owner.user(), command, cells, stages, seen, plan.keep)
