"""Who runs a plan on one machine: a few worker processes, fed with stages as soon as these are ready.

A worker (`xstilts.work.run --serve`) imports torch once and does many stages. The scheduler below only passes names:
what is done is what has a marker, whoever put it there.
"""

from __future__ import annotations

import os
import queue
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts import owner
from xstilts.errors import UserError, reason
from xstilts.stage import Stage
from xstilts.sweep import running
from xstilts.sweep.cost import priorities
from xstilts.sweep.interrupt import heard
from xstilts.sweep.outcome import Failure, Outcome
from xstilts.sweep.plan import Plan
from xstilts.sweep.screen import Screen
from xstilts.sweep.sweeps import Sweep
from xstilts.sweep.worker import Event, Worker, death, devices, environment

PATIENCE = 60.0  # seconds that workers get to save their state and leave
AGAIN = 1.0  # seconds between two looks at a stage that somebody else is doing


def execute(plan: Plan, sweep: Sweep, workers: int | None, tries: int) -> Outcome:
    """Run what is missing of a plan."""
    with running.announced(plan.store, sweep.name):
        return run(plan, plan.needed(), workers, tries)


def run(
    plan: Plan,
    needed: Mapping[str, Stage],
    workers: int | None,
    tries: int,
    more: Callable[[Stage, Mapping[str, Path]], dict[str, Any]] = lambda stage, attempts: {},
    attempts: dict[str, Path] | None = None,
) -> Outcome:
    """Run some stages of a plan. `more` adds to what is asked of a worker (see `xstilts.work.run.do`), from the
    attempts made so far, which are collected in `attempts`."""
    with Screen(len(needed)) as screen:
        scheduler = Scheduler(plan, screen, workers, tries, needed, more, {} if attempts is None else attempts)
        scheduler.run()
        if scheduler.stopped:
            screen.say(f"stopped with {len(scheduler.done)} of {len(needed)} stages done; the same command goes on")
    return scheduler.outcome()


@dataclass(eq=False)
class Scheduler:
    """Gives stages to workers until everything is done, failed or blocked, or somebody wants it to stop."""

    plan: Plan
    screen: Screen
    workers: int | None
    tries: int  # how often a stage is started again whose process died
    needed: Mapping[str, Stage]
    more: Callable[[Stage, Mapping[str, Path]], dict[str, Any]]
    attempts: dict[str, Path]

    def __post_init__(self) -> None:
        order = priorities(self.plan, self.needed)
        self.waiting = dict(sorted(self.needed.items(), key=lambda item: -order[item[0]]))
        self.running: dict[str, Worker] = {}
        self.busy: dict[str, float] = {}  # stages somebody else is doing -> when to look again
        self.failed: dict[str, str] = {}
        self.done: set[str] = set()
        self.died: Counter[str] = Counter()
        self.inbox: queue.SimpleQueue[tuple[Worker | None, Event]] = queue.SimpleQueue()
        self.pool: list[Worker] = []
        self.told: set[str] = set()
        self.numerics = next(iter(self.plan.stages.values())).numerics
        self.devices = devices(self.numerics["device"])
        cores = os.cpu_count() or 1
        each = len(self.devices) if self.devices[0] else max(1, cores // (self.numerics["threads"] or cores))
        self.most = self.workers or each
        self.stopped = False
        self.until: float | None = None  # workers that are told to leave are killed then

    def run(self) -> None:
        with heard(lambda what: self.inbox.put((None, {"event": "stop", "why": what}))):
            try:
                while self.until is None or self.pool:
                    if self.until is None:
                        self._start()
                        if not self.running and not self.busy:
                            self._close()
                    elif time.monotonic() > self.until:
                        self._kill()
                    self._listen()
            finally:
                self._kill()

    def outcome(self) -> Outcome:
        blocked = Counter(filter(None, map(self._cause, self.waiting.values())))
        failures = []
        for stage, error in self.failed.items():
            attempts = self.plan.store.folder(stage).attempts()
            log = str(attempts[-1] / "log.txt") if attempts else None
            failures.append(Failure(self.plan.stages[stage].label, error, blocked[stage], log))
        return Outcome(failures, stopped=self.stopped)

    def _cause(self, stage: Stage) -> str | None:
        """The failed stage that one waits for, directly or not."""
        for upstream in stage.upstream.values():
            if upstream in self.failed:
                return upstream
            if upstream in self.waiting and (cause := self._cause(self.plan.stages[upstream])):
                return cause
        return None

    # giving ---------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        while self._idle() or len(self.pool) < self.most:
            stage = next(filter(self._ready, self.waiting.values()), None)
            if stage is None:
                return
            del self.waiting[stage.id]
            self.busy.pop(stage.id, None)
            try:
                folder = self.plan.store.enter(stage)
            except (UserError, OSError) as error:
                self._fail(stage, reason(error))
                continue
            worker = self._idle() or self._hire()
            self.running[stage.id] = worker
            self.screen.started(stage)
            read = [str(path) for path in self.plan.store.read]
            request = {"stage": str(folder.root), "read": read, "place": stage.place, "numerics": stage.numerics}
            worker.give(stage, {**request, **self.more(stage, self.attempts)})

    def _ready(self, stage: Stage) -> bool:
        if self.busy.get(stage.id, 0.0) > time.monotonic():
            return False
        return not any(u in self.waiting or u in self.running or u in self.failed for u in stage.upstream.values())

    def _idle(self) -> Worker | None:
        return next((worker for worker in self.pool if worker.stage is None), None)

    def _hire(self) -> Worker:
        number = next(n for n in range(self.most) if n not in {w.number for w in self.pool})
        gpu = self.devices[number % len(self.devices)]
        self.pool.append(Worker(number, self.inbox, environment(self.numerics, gpu)))
        return self.pool[-1]

    # hearing --------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            worker, event = self.inbox.get(timeout=0.5)
        except queue.Empty:
            return self.screen.tick(len(self.done), self.running)
        stage = worker.stage if worker else None
        if worker is None:
            self._stop(event["why"])
        elif event["event"] == "said":
            self._tell(event["text"])
        elif event["event"] == "died":
            self.pool.remove(worker)
            if stage is not None:
                del self.running[stage.id]
                self._died(stage, death(event))
        elif stage is not None and event["event"] == "progress":
            self.screen.progress(stage, event)
        elif stage is not None and event["event"] == "end":
            worker.stage = None
            del self.running[stage.id]
            self._ended(stage, event)
        self.screen.tick(len(self.done), self.running)

    def _ended(self, stage: Stage, event: Event) -> None:
        if event["attempt"]:
            self.attempts[stage.id] = Path(event["attempt"])
        status = event["status"]
        if status in ("done", "reused"):
            self.done.add(stage.id)
            self.screen.finished(stage, event)
        elif status in ("busy", "fenced"):  # another process has it: its result will be ours too
            self._wait(stage)
        elif status == "stopped":
            self.waiting[stage.id] = stage
            if self.until is None:
                self._stop(f"{stage.label}: its process was asked to stop")
        else:
            self._fail(stage, event["error"])

    def _wait(self, stage: Stage) -> None:
        holder = self.plan.store.folder(stage.id).owner()
        who = owner.describe(holder) if holder else "another process"
        self._tell(f"waiting for {stage.label}: {who} has it")
        self.waiting[stage.id] = stage
        self.busy[stage.id] = time.monotonic() + AGAIN

    def _tell(self, text: str) -> None:
        """Say something once, however many workers find it out."""
        if text not in self.told:
            self.told.add(text)
            self.screen.say(text)

    def _died(self, stage: Stage, why: str) -> None:
        self.waiting[stage.id] = stage
        if self.until is not None:
            return
        self.died[stage.id] += 1
        if self.died[stage.id] <= self.tries:
            self.screen.say(f"{stage.label}: {why}; started again")
        else:
            del self.waiting[stage.id]
            self._fail(stage, why)

    def _fail(self, stage: Stage, error: str) -> None:
        self.failed[stage.id] = error
        self.screen.failed(stage, error)

    # leaving --------------------------------------------------------------------------------------------------------

    def _stop(self, why: str) -> None:
        if self.until is not None:  # the second time, or nothing but idle workers is left
            return self._kill()
        self.stopped = True
        self.screen.say(f"{why}: the running stages save their state (Ctrl-C kills them)")
        self._close()

    def _close(self) -> None:
        self.until = time.monotonic() + PATIENCE
        for worker in self.pool:
            worker.close()

    def _kill(self) -> None:
        for worker in self.pool:
            worker.kill()
