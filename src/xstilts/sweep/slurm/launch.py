"""What `hydra/launcher=slurm` does with a plan, and what the user sees of it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from xstilts.errors import UserError
from xstilts.sweep import screen
from xstilts.sweep.outcome import Outcome
from xstilts.sweep.plan import Plan
from xstilts.sweep.slurm import pool, queue
from xstilts.sweep.slurm.resources import Settings
from xstilts.sweep.slurm.submit import Driver, Submitted
from xstilts.sweep.sweeps import Sweep

ROWS = 40  # of the table of jobs; of more stages it shows arrays


def execute(plan: Plan, sweep: Sweep, keys: dict[str, Any]) -> Outcome:
    """Submit what is missing and return at once."""
    if not queue.present():
        raise UserError("hydra/launcher=slurm: there is no sbatch here; log in to the cluster, or leave it out")
    settings = Settings(keys)
    settings.check()
    if settings.pooled:
        found = pool.submit(plan, sweep, settings)
        _tell_nodes(found, len(pool.live(plan.store, sweep.name)))
    else:
        found = Driver(plan, sweep, settings).submit()
        tell(plan, sweep, found)
    return Outcome(queued=True)


def tell(plan: Plan, sweep: Sweep, found: Submitted) -> None:
    """The table of jobs, and what to type next."""
    console = screen.console()
    for line in found.repaired:
        console.print(line, markup=False)
    if found.jobs or found.theirs:
        console.print(_arrays(plan, found) if len(found.jobs) + len(found.theirs) > ROWS else _jobs(plan, found))
    for name, why in found.left.items():
        console.print(f"not submitted: {plan.stages[name].label}: {why}", markup=False)
    if found.next:
        console.print(f"the queue takes no more jobs now: job {found.next} submits the rest when some have ended")
    console.print(
        f"{len(found.jobs)} jobs submitted, {len(found.theirs)} queued before, {len(found.left)} left; "
        f"do=status sweep={sweep.name} shows how far they are",
        markup=False,
    )


def _jobs(plan: Plan, found: Submitted) -> Table:
    """A row a stage."""
    table = Table("job", "stage", "after", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, number in {**found.theirs, **found.jobs}.items():
        stage = plan.stages[name]
        above = [found.jobs.get(u) or found.theirs.get(u) for u in stage.upstream.values()]
        shared = " (queued before)" if name in found.theirs else ""
        table.add_row(number + shared, Text(stage.label), " ".join(filter(None, above)))
    return table


def _arrays(plan: Plan, found: Submitted) -> Table:
    """A row an array, where stages are too many for a screen."""
    table = Table("job", "stages", "such as", box=box.SIMPLE_HEAD, pad_edge=False)
    arrays: dict[str, list[str]] = {}
    for name, number in {**found.theirs, **found.jobs}.items():
        arrays.setdefault(number.split("_")[0], []).append(name)
    for array, names in arrays.items():
        shared = " (queued before)" if names[0] in found.theirs else ""
        table.add_row(array + shared, f"{len(names)} {plan.stages[names[0]].kind}", Text(plan.stages[names[0]].label))
    return table


def _tell_nodes(found: Submitted, live: int) -> None:
    console = screen.console()
    for line in found.repaired:
        console.print(line, markup=False)
    jobs = f" ({', '.join(found.nodes)})" if found.nodes else ""
    console.print(f"{len(found.nodes)} nodes asked for{jobs}, {live} queued or running", markup=False)
