"""Cells become a plan: unique stages, what each starts from, which are done, and what is left to run."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xstilts.config import GROUPS, Model
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep.cell import Cell, resolve
from xstilts.sweep.chains import Chains
from xstilts.sweep.grid import Choice, Grid, Point
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
    unavailable: Counter[str] = field(default_factory=Counter)  # why data is nowhere -> cells that need it
    skipped: int = 0  # cells left out for that
    order: str = "cost"  # what goes first: see `xstilts.config.Order`
    beyond: int = 0  # cells that the budget is not enough for

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
    skip: bool = False  # cells whose data is nowhere
    tracker: dict[str, Any] = field(default_factory=dict)  # where the numbers are shown as well
    order: str = "cost"
    unavailable: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    _chains: dict[str, Chains] = field(default_factory=dict)  # by world
    _models: dict[tuple[str, str], Model] = field(default_factory=dict)  # by model and world

    def cells(self) -> tuple[list[Cell], int]:
        """The cells asked for, then the baselines that were not; without duplicates."""
        asked: dict[tuple[Any, ...], Cell] = {}
        none, english = self.grid.choice("inter", "none"), self.grid.choice("regime", "english")
        for point in self.grid.points():
            if not point.choices["inter"].object.mixture:  # no intermediate phase: nothing for a regime to feed
                point = self.grid.point({**point.choices, "regime": english}, point.seed)
            asked.setdefault(_key(point), self._cell(point))
        self._look(asked)
        cells = dict(asked)
        for one in asked.values() if self.baseline else ():
            point = self.grid.point({**one.choices, "inter": none, "regime": english}, one.seed)
            if _key(point) not in cells:
                cells[_key(point)] = self._cell(point)
        return list(cells.values()), len(cells) - len(asked)

    def _look(self, asked: dict[tuple[Any, ...], Cell]) -> None:
        """Count the cells whose data is nowhere, by reason; take them out where that is wanted."""
        for key, one in list(asked.items()):
            reasons = self._of(one.choices["world"]).lacking(one)
            self.unavailable.update(reasons)
            if reasons and self.skip:
                del asked[key]
                self.skipped += 1
        if self.skipped and not asked:
            raise UserError(f"no cell is left: {'; '.join(self.unavailable)}")

    def plan(self) -> Plan:
        cells, added = self.cells()
        stages: dict[str, Stage] = {}
        chains = []
        for one in cells:
            chain = self._of(one.choices["world"]).chain(one)
            for stage in chain:
                if stage.id not in stages:
                    stage.numerics.update(self.numerics)
                    if self.tracker:
                        stage.place["tracker"] = self.tracker
                    stages[stage.id] = stage
            chains.append([stage.id for stage in chain])
        # A chain lists each stage after those it starts from, so the first mention of a stage is in order too.
        worlds = {label: of.inputs for label, of in self._chains.items()}
        return Plan(
            cells, chains, stages, self.store, worlds, self.keep, added, self.unavailable, self.skipped, self.order
        )

    def _cell(self, point: Point) -> Cell:
        model, world = point.choices["model"], point.choices["world"]
        key = (model.label, world.label)
        if key not in self._models:
            self._models[key] = resolve(model, world)
        return Cell(point.choices, self._models[key], point.seed, point.overrides)

    def _of(self, world: Choice) -> Chains:
        """The chains of cells that read this world's library."""
        if world.label not in self._chains:
            root = Path(self.library) if self.library else self.store.root / "library" / world.object.name
            for label, chains in self._chains.items():
                if chains.inputs.root == root:
                    raise UserError(
                        f"world={label} and world={world.label} would share the library {root}: one sweep each, "
                        "with a library=PATH each"
                    )
            if world.object.kind == "files" and not world.object.root:
                raise UserError("world=files needs world.root=FOLDER, the folder of the original distributions")
            self._chains[world.label] = Chains(Inputs(world.object, root))
        return self._chains[world.label]


def _key(point: Point) -> tuple[Any, ...]:
    return (*(point.choices[group].label for group in GROUPS), point.seed)
