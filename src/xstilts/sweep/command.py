"""The verbs: what `do=` asks for, from a composed grid and a store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf

from xstilts import files
from xstilts.config import From, Keep, Numerics, Order, Tracker, Unavailable
from xstilts.errors import UserError, refusal
from xstilts.store import Store
from xstilts.sweep import (
    asked,
    budget,
    describe,
    fetch,
    foreign,
    interrupt,
    rerun,
    retention,
    running,
    screen,
    share,
    status,
    sweeps,
    sync,
)
from xstilts.sweep.grid import Grid
from xstilts.sweep.outcome import Outcome
from xstilts.sweep.plan import Plan, Planner
from xstilts.sweep.slurm import cancel as jobs
from xstilts.sweep.sweeps import Sweep

#: What is typed with do=retry for itself, and what may be changed of the sweep it runs: nothing that decides a result.
_OF_RETRY = ("do=", "sweep=", "store.path=")
_WITH_RETRY = ("numerics.", "tracker.", "keep=", "store.read=", "library=")


def command(arguments: Sequence[str], params: dict[str, Any], loader: ConfigLoader, config: str, launcher: Any) -> int:
    """What our sweeper does. Exits with 0 well, 1 a stage failed, 2 a mistake in what was typed, 130 stopped."""
    try:
        with interrupt.heard(interrupt.interrupt):
            sys.exit(Command(arguments, params, loader, config, launcher).do())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if refusal(error) is None:
            raise
        print(f"error: {refusal(error)}", file=sys.stderr)
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
        files.follow_group(self.store.root)
        self.baseline = self.base.baseline if baseline is None else baseline
        self.tracker: Tracker = _object(Tracker, self.base.tracker)
        self.console = screen.console()

    def do(self) -> int:
        return getattr(self, str(self.base["do"]))()

    # the plan -------------------------------------------------------------------------------------------------------

    def planned(self) -> Plan:
        """Cells and stages as they stand now."""
        numerics = asdict(_object(Numerics, self.base.numerics))
        tracker = asdict(self.tracker) if self.tracker.mode != "none" else {}
        keep = Keep[str(self.base.keep)].name
        skip = Unavailable[str(self.base.unavailable)] is Unavailable.skip
        order = Order[str(self.base.order)].name
        library = self.base.library
        planner = Planner(self.grid, self.store, library, self.baseline, keep, numerics, skip, tracker, order)
        if self.base.budget is None:
            return planner.plan()
        return budget.within(planner.plan(), self.base.budget, asked.by(self.launcher))

    def plan(self) -> int:
        workers = getattr(self.launcher, "workers", None) or 1
        describe.describe(self.planned(), self.console, workers, asked.by(self.launcher))
        return 0

    def available(self) -> Plan:
        """The plan, when all of its data is somewhere; what is left out of it is said."""
        plan = self.planned()
        lines = describe.unavailable(plan)
        if lines and not plan.skipped:
            raise UserError("\n".join(lines))
        for line in lines:
            self._say(line)
        return plan

    def filled(self) -> Plan:
        """The plan once the library holds what it reads: local worlds are filled now, the hub is not."""
        plan = self.available()
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

    def _writable(self) -> None:
        """Refuse a store that I may not write; share it with the group that is asked for."""
        if self.base.store.group is not None:
            share.give(self.store.root, self.base.store.group)
            files.follow_group(self.store.root)
        self.store.check_writable()

    # verbs ----------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        self._writable()
        plan = self.filled()
        sweep = sweeps.record(plan, self.arguments, self.base.sweep)
        sweep.save(self.store)
        return self._execute(plan, sweep)

    def retry(self) -> int:
        """What a sweep still lacks, without typing it again."""
        sweep = self._sweep()
        typed = [a for a in self.arguments if not a.startswith(_OF_RETRY)]
        if wrong := [a for a in typed if not a.startswith(_WITH_RETRY)]:
            raise UserError(
                f"do=retry runs sweep {sweep.name} as it was typed; with it go {', '.join(_WITH_RETRY)}, "
                f"and not {', '.join(wrong)}"
            )
        line = [*sweep.command, *typed, f"store.path={self.store.root}"]
        again = Command(line, {}, self.grid.loader, self.grid.config, self.launcher)
        again.grid = Grid(line, _params(again.base), self.grid.loader, self.grid.config)
        again._writable()
        plan = again.filled()
        if plan.keep != sweep.keep:
            sweep.keep = plan.keep
            sweep.save(self.store)
        return again._execute(plan, sweep)

    def _execute(self, plan: Plan, sweep: Sweep) -> int:
        needed = plan.needed()
        if not needed:
            self._say(f"nothing to do: all {len(plan.stages)} stages of sweep {sweep.name} are done")
            outcome = Outcome()
        else:
            cells, stages = describe.many(len(plan.cells), "cell"), describe.many(len(plan.stages), "stage")
            self._say(f"sweep {sweep.name}: {cells}, {stages}, {len(needed)} to run")
            own = hasattr(self.launcher, "execute")
            outcome = self.launcher.execute(plan, sweep) if own else foreign.execute(plan, sweep, self.launcher)
        if not (outcome.stopped or outcome.queued):
            retention.evict(plan)
            self._report([sweep], again=bool(needed))
        outcome.show(screen.console(stderr=True))
        return outcome.code

    def status(self) -> int:
        if self.base.sweep is None:
            status.overview(self.store, self.console)
        else:
            status.show(self.store, self._sweep(), self.console)
        return 0

    def cancel(self) -> int:
        """Have the stages of this sweep that run saved, and end whoever works for it."""
        sweep = self._sweep()
        told = [*jobs.cancel(self.store, sweep), *running.stop(self.store, sweep.name)]
        for line in told or [f"nothing is running for sweep {sweep.name}"]:
            self._say(line)
        return 0

    def rerun(self) -> int:
        self.baseline = False  # one cell is one cell
        rerun.refuse_many(self.planned())
        self._writable()
        tries = getattr(self.launcher, "tries", 1)
        outcome = rerun.rerun(self.filled(), From[str(self.base["from"])], tries, self.console)
        outcome.show(screen.console(stderr=True))
        return outcome.code

    def report(self) -> int:
        if not self.store.root.is_dir():
            raise UserError(f"there is no store {self.store.root}: there is nothing to report")
        self._report(self._wanted())
        return 0

    def export(self) -> int:
        """Of the named sweep, or of all, into `export=FOLDER`."""
        from xstilts.results.export import export
        from xstilts.results.table import table

        wanted = self._wanted()
        place = Path(self.base.export or self.store.root / "export")
        new = export(self.store, wanted, table(self.store, wanted), place)
        self._say(f"{'wrote' if new else 'already there, the same:'} {place}")
        return 0

    def fetch(self) -> int:
        if self.base.store.group is not None:
            self._writable()
        fetch.fill(self.available(), self.console)
        return 0

    def publish(self) -> int:
        """Runs and tables of the named sweep, or of all."""
        from xstilts.tracking.publish import publish

        return publish(self.store, self._wanted(), self.tracker, self.console)

    def dashboard(self) -> int:
        from xstilts.tracking.dashboard import create

        for line in create(self._sweep(), self.tracker):
            self._say(line)
        return 0

    def push(self) -> int:
        return self._transfer(str(self.store.root), sync.place(self.base.remote))

    def pull(self) -> int:
        self._writable()
        return self._transfer(sync.place(self.base.remote), str(self.store.root))

    def _transfer(self, source: str, target: str) -> int:
        for line in sync.transfer(source, target, self.base.weights):
            self._say(line)
        return 0

    def clean(self) -> int:
        weights = retention.evict_recorded(self.store, Keep[str(self.base.keep)].name)
        freed, removed = retention.clean(self.store)
        for path in removed:
            self._say(path)
        self._say(f"removed {len(removed)} leftovers, {describe.size(freed)}")
        self._say(f"and weights that keep={self.base.keep} does not keep, {describe.size(weights)}")
        for name in retention.holding(self.store):
            self._say(f"sweep {name} keeps all of its weights; do=retry sweep={name} keep=inter lets them go")
        return 0

    # ----------------------------------------------------------------------------------------------------------------

    def _sweep(self) -> Sweep:
        """The named sweep, or the only one there is."""
        names = sweeps.names(self.store)
        if self.base.sweep is None and len(names) != 1:
            known = f"one of {', '.join(names)}" if names else "the store has none yet"
            raise UserError(f"do={self.base['do']} needs sweep=NAME: {known}")
        return sweeps.load(self.store, self.base.sweep or names[0])

    def _wanted(self) -> list[Sweep]:
        """The named sweep, or all there are."""
        return [self._sweep()] if self.base.sweep else sweeps.all_(self.store)

    def _report(self, wanted: list[Sweep], again: bool = True) -> None:
        from xstilts.results.report import report  # pandas and the mixed model, which a plan does without

        report(self.store, wanted, self.console, again)

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _object(schema: type, values: Any) -> Any:
    """The typed object of a composed section."""
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))


def _params(base: Any) -> dict[str, Any]:
    """What the experiment of a composition sweeps."""
    return dict(base.hydra.sweeper.params or {})
