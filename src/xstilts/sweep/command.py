"""The verbs: what `do=` asks for, from a composed grid and a store."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf
from rich.console import Console

from xstilts import owner
from xstilts.config import From, Keep, Numerics
from xstilts.errors import UserError
from xstilts.store import Store
from xstilts.sweep import describe, fetch, rerun, retention, status, sweeps
from xstilts.sweep.grid import Grid
from xstilts.sweep.plan import Plan, Planner
from xstilts.sweep.sweeps import Sweep


def command(arguments: Sequence[str], params: dict[str, Any], loader: ConfigLoader, config: str, launcher: Any) -> int:
    """What our sweeper does. Exits with the status: 0 well, 1 a stage failed, 2 a mistake in what was typed."""
    try:
        sys.exit(Command(arguments, params, loader, config, launcher).do())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


class Command:
    """One command line, resolved."""

    def __init__(
        self,
        arguments: Sequence[str],
        params: dict[str, Any],
        loader: ConfigLoader,
        config: str,
        launcher: Any = None,
        baseline: bool | None = None,
    ) -> None:
        self.arguments, self.launcher = list(arguments), launcher
        self.grid = Grid(arguments, params, loader, config)
        self.base = self.grid.base
        paths = self.base.store
        self.store = Store(Path(paths.path), [Path(p) for p in paths.read])
        self.baseline = self.base.baseline if baseline is None else baseline
        self.console = Console(soft_wrap=False)

    def do(self) -> int:
        return getattr(self, str(self.base["do"]))()

    # the plan -------------------------------------------------------------------------------------------------------

    def planned(self) -> Plan:
        """Cells and stages as they stand now."""
        numerics = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Numerics), self.base.numerics))
        assert isinstance(numerics, Numerics)
        keep = Keep[str(self.base.keep)].name
        return Planner(self.grid, self.store, self.base.library, self.baseline, keep, asdict(numerics)).plan()

    def plan(self) -> int:
        describe.describe(self.planned(), self.console, getattr(self.launcher, "workers", None) or 1)
        return 0

    def filled(self) -> Plan:
        """The plan once the library holds what it reads: local worlds are filled now, the hub is not."""
        plan = self.planned()
        if fetch.fill_local(plan, self.console):
            plan = self.planned()
        self.refuse_provisional(plan)
        return plan

    @staticmethod
    def refuse_provisional(plan: Plan) -> None:
        for inputs in plan.worlds.values():
            if inputs.provisional:
                names = sorted([*inputs.unfilled, *(f"model={m}" for m in inputs.unfilled_models)])
                raise UserError(
                    f"the library {inputs.root} lacks {', '.join(names)}: "
                    "run the same command with do=fetch on a machine with a network first"
                )

    # verbs ----------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        self.store.check_writable()
        plan = self.filled()
        sweep = sweeps.record(plan, self.arguments, self.base.sweep)
        sweep.save(self.store)
        return self._execute(plan, sweep)

    def retry(self) -> int:
        """What a sweep still lacks, without typing it again."""
        sweep = self._sweep()
        again = Command(
            [*sweep.command, f"store.path={self.store.root}"], {}, self.grid.loader, self.grid.config, self.launcher
        )
        again.grid = Grid(again.arguments, _params(again.base), self.grid.loader, self.grid.config)
        plan = again.filled()
        return again._execute(plan, sweep)

    def _execute(self, plan: Plan, sweep: Sweep) -> int:
        needed = plan.needed()
        if not needed:
            self.console.print(
                f"nothing to do: all {len(plan.stages)} stages of sweep {sweep.name} are done", highlight=False
            )
            code = 0
        elif hasattr(self.launcher, "execute"):
            self.console.print(
                f"sweep {sweep.name}: {len(plan.cells)} cells, {len(plan.stages)} stages, {len(needed)} to run",
                highlight=False,
            )
            code = self.launcher.execute(plan, sweep)
        else:
            code = self._foreign(plan)
        if code != 130:
            retention.evict(plan)
            self._report([sweep])
        return code

    def _foreign(self, plan: Plan) -> int:
        """A launcher of somebody else's runs cells; it fails loudly where Hydra would keep silent."""
        returns = self.launcher.launch([list(c.overrides) for c in plan.cells], 0)
        failed = 0
        for one, result in zip(plan.cells, returns, strict=True):
            try:
                _ = result.return_value
            except Exception as error:
                failed += 1
                self.console.print(
                    f"[bold red]failed[/]  {' '.join(map(str, one.names.values()))}: {error}", highlight=False
                )
        return 1 if failed else 0

    def status(self) -> int:
        if self.base.sweep is None:
            status.overview(self.store, self.console)
        else:
            status.show(self.store, self._sweep(), self.console)
        return 0

    def cancel(self) -> int:
        """Ask the processes that work for this sweep, on this machine, to save their state and stop."""
        sweep, mine = self._sweep(), owner.process()
        asked = 0
        for name in sweep.stages:
            holder = self.store.folder(name).owner()
            if holder and holder["host"] == mine["host"] and owner.alive(holder, 0.0):
                os.kill(holder["pid"], signal.SIGTERM)
                asked += 1
        self.console.print(f"asked {asked} running stages of sweep {sweep.name} to save their state and stop")
        return 0

    def rerun(self) -> int:
        self.baseline = False  # one cell is one cell
        return rerun.rerun(self.filled(), From[str(self.base["from"])], self.console)

    def report(self) -> int:
        self._report([self._sweep()] if self.base.sweep else sweeps.all_(self.store))
        return 0

    def fetch(self) -> int:
        fetch.fill(self.planned(), self.console)
        return 0

    def clean(self) -> int:
        freed, removed = retention.clean(self.store)
        for path in removed:
            self.console.print(path, highlight=False)
        self.console.print(f"removed {len(removed)} leftovers, {describe.size(freed)}", highlight=False)
        return 0

    # ----------------------------------------------------------------------------------------------------------------

    def _sweep(self) -> Sweep:
        """The named sweep, or the only one there is."""
        names = sweeps.names(self.store)
        if self.base.sweep is None and len(names) != 1:
            known = f"one of {', '.join(names)}" if names else "the store has none yet"
            raise UserError(f"do={self.base['do']} needs sweep=NAME: {known}")
        return sweeps.load(self.store, self.base.sweep or names[0])

    def _report(self, wanted: list[Sweep]) -> None:
        from xstilts.results.show import show
        from xstilts.results.table import table, write

        everything = table(self.store)
        write(self.store, everything)
        show(table(self.store, wanted), self.console)
        self.console.print(f"{len(everything)} rows in {self.store.root / 'results.parquet'} and .csv", highlight=False)


def _params(base: Any) -> dict[str, Any]:
    """What the experiment of a composition sweeps."""
    return dict(base.hydra.sweeper.params or {})
