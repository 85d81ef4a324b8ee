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
GIVE_UP = 2 * AT_ONCE  # runs one after the other that the server did not take: it will not take the others either


@dataclass
class Outcome:
    """What became of the runs, by id."""

    level: list[str] = field(default_factory=list)  # before we came
    sent: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    differ: dict[str, str] = field(default_factory=dict)  # in what
    lost: dict[str, str] = field(default_factory=dict)  # why
    untried: int = 0

    def note(self, name: str, result: Callable[[], str]) -> None:
        """Take down what a job returned or raised; the other runs go on, whatever it was."""
        try:
            getattr(self, result()).append(name)
        except Busy:
            self.running.append(name)
        except readback.Differs as error:
            self.differ[name] = str(error)
        except UserError as error:  # a file of the store's
            self.lost[name] = str(error)
        except Exception as error:  # the client's, of many kinds
            self.lost[name] = client.trouble(error)

    def lines(self) -> Iterator[str]:
        """What a person should know."""
        counts = {"sent": self.sent, "level already": self.level}
        text = ", ".join(f"{len(names)} {what}" for what, names in counts.items())
        yield text + (f", {len(self.running)} left to the processes that run them" if self.running else "")
        for why, names in _grouped(self.lost).items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"not level: {names[0]}{more}: {why}; the same command goes on"
        if self.untried:
            yield f"not tried after that: {self.untried} runs"
        for text in self.differ.values():
            yield f"not level: {text}"
        if any("row" in text for text in self.differ.values()):
            yield "rows that W&B has stay: delete these runs there, and publish with another tracker.salt=WORD"


def _grouped(problems: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in problems.items():
        found.setdefault(why, []).append(name)
    return found


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
            tracker = replace(tracker, entity=where.split("/")[0])  # asked once, not a run
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
    for number, line in enumerate(outcome.lines()):
        console.print(line if number else f"{where}: {line}", markup=False, soft_wrap=True)
    return 1 if outcome.lost or outcome.differ else 0


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
        lost = 0  # one after the other
        try:
            for done in as_completed(pending):
                outcome.note(name := pending.pop(done), done.result)
                bar.advance(task)
                lost = lost + 1 if name in outcome.lost else 0
                if lost == GIVE_UP:
                    break
            going = {left: name for left, name in pending.items() if not left.cancel()}
            outcome.untried = len(pending) - len(going)
            for left, name in going.items():
                outcome.note(name, left.result)
        except BaseException:  # Ctrl-C: those that are open are finished, the others are for the next time
            pool.shutdown(wait=False, cancel_futures=True)
            raise
