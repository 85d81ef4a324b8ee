"""Cells become a plan: unique stages, what each starts from, which are done, and what is left to run."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep.cell import Cell, cell, chain
from xstilts.sweep.grid import Grid
from xstilts.sweep.inputs import Inputs


@dataclass(eq=False)
class Plan:
    """The DAG of a sweep: stages in an order in which each comes after those it starts from."""

    cells: list[Cell]
    chains: list[list[str]]  # stage ids a cell, in order
    stages: dict[str, Stage]
    store: Store
    worlds: dict[str, Inputs]
    keep: str  # which weights stay
    baseline_added: int = 0  # cells that only the comparison needs

    @cached_property
    def children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for stage in self.stages.values():
            for upstream in stage.upstream.values():
                found[upstream].append(stage.id)
        return dict(found)

    @cached_property
    def cells_of(self) -> Counter[str]:
        """How many cells need a stage."""
        return Counter(stage for ids in self.chains for stage in ids)

    def done(self) -> set[str]:
        return {s for s in self.stages if self.store.done(s)}

    def needed(self) -> dict[str, Stage]:
        """What has to run: stages without a marker, and evicted weights that one of them starts from; in order."""
        needed: set[str] = set()
        for stage in reversed(self.stages.values()):
            folder = self.store.folder(stage.id)
            wanted = any(child in needed for child in self.children.get(stage.id, ()))
            if not folder.marker.exists() or (wanted and folder.evicted):
                needed.add(stage.id)
        return {s: stage for s, stage in self.stages.items() if s in needed}

    @property
    def provisional(self) -> bool:
        return any(inputs.provisional for inputs in self.worlds.values())

    def inputs(self, cell: Cell) -> Inputs:
        return self.worlds[cell.choices["world"].label]


@dataclass(eq=False)
class Planner:
    """Grid -> plan; everything that several cells share is resolved once."""

    grid: Grid
    store: Store
    library: str | None
    baseline: bool
    keep: str
    numerics: dict[str, Any]
    _worlds: dict[str, Inputs] = field(default_factory=dict)

    def cells(self) -> tuple[list[Cell], int]:
        """The cells asked for, then the baselines that were not; without duplicates."""
        asked: dict[tuple[Any, ...], Cell] = {}
        for point in self.grid.points():
            choices = dict(point.choices)
            if not choices["inter"].object.mixture:  # no intermediate phase: nothing for a regime to feed
                choices["regime"] = self.grid.choice("regime", "english")
            new = cell(type(point)(choices, point.seed, point.overrides))
            asked.setdefault(_key(new), new)
        cells = dict(asked)
        if self.baseline:
            none, english = self.grid.choice("inter", "none"), self.grid.choice("regime", "english")
            for one in asked.values():
                choices = {**one.choices, "inter": none, "regime": english}
                overrides = (*one.overrides, "inter=none", "regime=english")
                base = Cell(choices, one.model, one.seed, overrides)
                cells.setdefault(_key(base), base)
        return list(cells.values()), len(cells) - len(asked)

    def plan(self) -> Plan:
        cells, added = self.cells()
        stages: dict[str, Stage] = {}
        chains = []
        for one in cells:
            inputs = self._inputs(one)
            ids = []
            for stage in chain(one, inputs):
                stage.numerics.update(self.numerics)
                stages.setdefault(stage.id, stage)
                ids.append(stage.id)
            chains.append(ids)
        # A chain lists each stage after those it starts from, so the first mention of a stage is in order too.
        return Plan(cells, chains, stages, self.store, self._worlds, self.keep, added)

    def _inputs(self, one: Cell) -> Inputs:
        world = one.choices["world"]
        if world.label not in self._worlds:
            root = Path(self.library) if self.library else self.store.root / "library" / world.object.name
            if world.object.kind == "files" and not world.object.root:
                raise UserError("world=files needs world.root=FOLDER, the folder of the original distributions")
            self._worlds[world.label] = Inputs(world.object, root)
        return self._worlds[world.label]


def _key(one: Cell) -> tuple[Any, ...]:
    return (*one.names.values(), one.choices["world"].label)
