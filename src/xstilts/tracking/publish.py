"""`do=publish`: bring W&B level with the store, from a login node, as often as one likes.

Every stage of a sweep that was begun is a run, and every sweep has a run with its tables. What is there is read first,
and again after writing; what cannot be made equal is named. Stages that are running now are left to their followers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from xstilts import owner
from xstilts.config import Tracker
from xstilts.errors import UserError
from xstilts.store import Folder, Store
from xstilts.sweep.sweeps import Sweep
from xstilts.tracking import client, readback, tables
from xstilts.tracking.entry import Entry, asked, entry, run_id
from xstilts.tracking.lock import Busy, alone

AT_ONCE = 4  # runs; W&B limits requests a minute, and the client waits when it is told to


@dataclass
class Outcome:
    """What became of the runs, by id."""

    level: list[str] = field(default_factory=list)  # before we came
    sent: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def publish(store: Store, sweeps: Sequence[Sweep], tracker: Tracker, console: Console) -> int:
    """Publish some sweeps; 0 when W&B is level with the store now, 1 otherwise.

    With `tracker=offline` the same runs are written as files below STORE/tracking, for `wandb leet`.
    """
    if not sweeps:
        raise UserError(f"the store {store.root} has no sweep yet: there is nothing to publish")
    if tracker.mode == "none":
        tracker = replace(tracker, mode="online")
    where, there = str(store.root / "tracking" / "wandb"), dict[str, Any]()
    if tracker.mode == "online":
        with client.reached():
            session = readback.api()
            where = readback.place(session, tracker)
            there = readback.runs(session, tracker, [s.name for s in sweeps])
    outcome, attempts = Outcome(), dict(_attempts(store, sweeps))
    for stage, attempt in list(attempts.items()):
        if _running(Folder(attempt.parents[1])):
            outcome.running.append(stage)
            del attempts[stage]
    cells = asked(store)

    def stage_run(attempt: Path) -> str:
        one = entry(attempt, cells.get(attempt.parents[1].name, []), tracker.salt)
        return _level(store, one, there.get(one.id), tracker)

    def sweep_run(sweep: Sweep) -> str:
        one, content = tables.entry(store, sweep, tracker.salt)
        with alone(store, one.id):
            return tables.level(one, content, there.get(one.id), tracker, store.root / "tracking")

    jobs: dict[str, Callable[[], str]] = {name: _job(stage_run, path) for name, path in attempts.items()}
    jobs |= {run_id(f"results-{sweep.name}", tracker.salt): _job(sweep_run, sweep) for sweep in sweeps}
    _work(jobs, outcome, console)
    return _say(outcome, where, console)


def _job(work: Callable[[Any], str], what: Any) -> Callable[[], str]:
    return lambda: work(what)


def _attempts(store: Store, sweeps: Sequence[Sweep]) -> Iterator[tuple[str, Path]]:
    """Of every stage that was begun, the attempt that counts: the published one, else the newest with a record."""
    for name in dict.fromkeys(stage for sweep in sweeps for stage in sweep.stages):
        home = store.folder(name)
        begun = [a for a in home.attempts() if (a / "record.json").exists()]
        if attempt := home.published or next(reversed(begun), None):
            yield name, attempt


def _running(home: Folder) -> bool:
    holder = None if home.marker.exists() else home.owner()
    return holder is not None and owner.alive(holder, home.beat())


def _level(store: Store, one: Entry, there: Any, tracker: Tracker) -> str:
    """`level` or `sent`. Raises `Differs` when the server has something else in spite of us."""
    with alone(store, one.id):
        if there is not None and not readback.differences(there, one):
            return "level"
        with client.opened(one, tracker, store.root / "tracking") as mirror:
            mirror.send(one.rows)
            mirror.close(one.summary, one.status)
        if tracker.mode == "online":
            readback.check(one, tracker)
        return "sent"


def _work(jobs: dict[str, Callable[[], str]], outcome: Outcome, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar, ThreadPoolExecutor(AT_ONCE) as pool:
        task = bar.add_task("runs", total=len(jobs))
        pending = {pool.submit(job): name for name, job in jobs.items()}
        try:
            for done in as_completed(pending):
                _note(outcome, pending[done], done.result)
                bar.advance(task)
        except BaseException:  # Ctrl-C: those that are open are finished, the others are for the next time
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _note(outcome: Outcome, name: str, result: Callable[[], str]) -> None:
    try:
        getattr(outcome, result()).append(name)
    except Busy:
        outcome.running.append(name)
    except readback.Differs as error:
        outcome.problems[name] = str(error)
    except Exception as error:  # the client's, of many kinds: the other runs go on
        outcome.problems[name] = f"{name}: {client.trouble(error)}; the same command goes on"


def _say(outcome: Outcome, where: str, console: Console) -> int:
    counts = f"{len(outcome.sent)} sent, {len(outcome.level)} level already"
    if outcome.running:
        counts += f", {len(outcome.running)} left to the processes that run them"
    lines = [f"{where}: {counts}", *(f"not level: {text}" for text in outcome.problems.values())]
    if any("row" in text for text in outcome.problems.values()):
        lines.append("rows that W&B has stay: delete these runs there, and publish with another tracker.salt=WORD")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return 1 if outcome.problems else 0
