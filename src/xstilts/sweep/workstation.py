"""Who runs a plan on one machine: a few worker processes, fed with stages as soon as these are ready.

A worker (`xstilts.work.run --serve`) imports torch once and does many stages. The scheduler below only passes names:
what is done is what has a marker, whoever put it there.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from xstilts import owner
from xstilts.stage import Stage
from xstilts.sweep.cost import priorities
from xstilts.sweep.plan import Plan
from xstilts.sweep.screen import Screen
from xstilts.sweep.sweeps import Sweep

PATIENCE = 60.0  # seconds that workers get to save their state and leave


@dataclass(eq=False)
class Worker:
    """One process. Everything it says arrives in the scheduler's queue, its end included (event `died`)."""

    number: int
    inbox: queue.Queue[tuple[Worker, dict[str, Any]]]
    environment: dict[str, str]
    stage: Stage | None = None
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xstilts.work.run", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=self.environment,
            start_new_session=True,  # Ctrl-C is the scheduler's to handle
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(self.process.stderr or ()), daemon=True)
        reader.start()
        for line in self.process.stdout:
            self.inbox.put((self, json.loads(line)))
        reader.join(5)
        self.inbox.put((self, {"event": "died", "status": self.process.wait(), "stderr": "".join(errors[-20:])}))

    def give(self, stage: Stage, request: dict[str, Any]) -> None:
        self.stage = stage
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
        except BrokenPipeError:
            pass  # its `died` event is on the way

    def close(self) -> None:
        """Nothing more comes: it saves the state of what it does, and leaves."""
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass


def devices(wanted: str) -> list[str | None]:
    """The GPUs of this machine as CUDA_VISIBLE_DEVICES names them, or [None] for the CPU; without importing torch."""
    if wanted == "cpu":
        return [None]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [*filter(None, visible.split(","))] or [None]
    if shutil.which("nvidia-smi") is None:
        return [None]
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(i) for i in range(len(gpus))] or [None]


def environment(numerics: dict[str, Any], gpu: str | None) -> dict[str, str]:
    """Of a worker: offline, with its share of the cores, and one GPU if it gets one."""
    found = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if numerics["threads"]:
        found["OMP_NUM_THREADS"] = str(numerics["threads"])
    if gpu is not None:
        found["CUDA_VISIBLE_DEVICES"] = gpu
    return found


@dataclass(eq=False)
class Scheduler:
    """Runs what a plan needs. `failed` and `blocked` say what could not be done."""

    plan: Plan
    screen: Screen
    workers: int | None
    tries: int

    def __post_init__(self) -> None:
        needed = self.plan.needed()
        order = priorities(self.plan, needed)
        self.waiting = dict(sorted(needed.items(), key=lambda item: -order[item[0]]))
        self.running: dict[str, Worker] = {}
        self.busy: dict[str, float] = {}  # stages somebody else is doing -> when to look again
        self.failed: dict[str, str] = {}
        self.done: set[str] = set()
        self.died: dict[str, int] = {}
        self.inbox: queue.Queue[tuple[Worker, dict[str, Any]]] = queue.Queue()
        self.pool: list[Worker] = []
        self.total = len(needed)

    @property
    def blocked(self) -> dict[str, str]:
        """Stages that wait for a failed one: id -> the failed stage's id."""
        found: dict[str, str] = {}
        for stage in self.waiting.values():  # any order: follow each up to what failed
            cause = self._cause(stage)
            if cause:
                found[stage.id] = cause
        return found

    def _cause(self, stage: Stage) -> str | None:
        for upstream in stage.upstream.values():
            if upstream in self.failed:
                return upstream
            if upstream in self.plan.stages and (cause := self._cause(self.plan.stages[upstream])):
                return cause
        return None

    def run(self) -> None:
        """Until everything is done, failed or blocked. A KeyboardInterrupt lets the workers save and leave."""
        try:
            while True:
                self._start()
                if not self.running and not self.busy:
                    return
                self._listen()
        except KeyboardInterrupt:
            self.screen.say("stopping: the running stages save their state (Ctrl-C again to kill)")
            self._leave()
            raise
        finally:
            self._end()

    def _ready(self) -> list[Stage]:
        now = time.monotonic()
        return [
            stage
            for stage in self.waiting.values()
            if self.busy.get(stage.id, 0) <= now
            and all(
                u not in self.waiting and u not in self.running and u not in self.failed
                for u in stage.upstream.values()
            )
        ]

    def _start(self) -> None:
        for stage in self._ready():
            worker = self._idle()
            if worker is None:
                return
            folder = self.plan.store.enter(stage)
            request = {"stage": str(folder.root), "read": [str(p) for p in self.plan.store.read]}
            del self.waiting[stage.id]
            self.busy.pop(stage.id, None)
            self.running[stage.id] = worker
            worker.give(stage, request)

    def _idle(self) -> Worker | None:
        for worker in self.pool:
            if worker.stage is None:
                return worker
        numerics = next(iter(self.plan.stages.values())).numerics
        gpus = devices(numerics["device"])
        cores = os.cpu_count() or 1
        most = self.workers or (len(gpus) if gpus[0] else max(1, cores // (numerics["threads"] or cores)))
        if len(self.pool) >= most:
            return None
        number = next(n for n in range(most) if n not in {w.number for w in self.pool})
        gpu = gpus[number % len(gpus)]
        self.pool.append(Worker(number, self.inbox, environment(numerics, gpu)))
        return self.pool[-1]

    def _listen(self) -> None:
        try:
            worker, event = self.inbox.get(timeout=0.5)
        except queue.Empty:
            self.screen.tick(len(self.done), self.total, self.running)
            return
        stage = worker.stage
        if event["event"] == "died":
            self.pool.remove(worker)
            if stage is not None:
                self._died(stage, event)
        elif event["event"] == "progress" and stage is not None:
            self.screen.progress(stage, event)
        elif event["event"] == "end" and stage is not None:
            worker.stage = None
            del self.running[stage.id]
            self._ended(stage, event)
        self.screen.tick(len(self.done), self.total, self.running)

    def _ended(self, stage: Stage, event: dict[str, Any]) -> None:
        status = event["status"]
        folder = self.plan.store.folder(stage.id)
        if status in ("done", "reused"):
            self.done.add(stage.id)
            self.screen.finished(stage, folder)
        elif status == "busy":  # another process has it: its result will be ours too
            if stage.id not in self.busy:
                holder = folder.owner()
                self.screen.say(
                    f"waiting for {stage.label}: {owner.describe(holder) if holder else 'another process'} has it"
                )
            self.waiting[stage.id] = stage
            self.busy[stage.id] = time.monotonic() + 1.0
        else:
            self._fail(stage, event.get("error") or (folder.record() or {}).get("error") or status)

    def _died(self, stage: Stage, event: dict[str, Any]) -> None:
        del self.running[stage.id]
        self.died[stage.id] = self.died.get(stage.id, 0) + 1
        if self.died[stage.id] <= self.tries:
            self.waiting[stage.id] = stage
            self.screen.say(f"{stage.label}: its process died ({_status(event['status'])}); started again")
            return
        last = event["stderr"].strip().splitlines()[-1:] or [""]
        self._fail(stage, f"its process died ({_status(event['status'])}) {last[0]}".strip())

    def _fail(self, stage: Stage, error: str) -> None:
        self.failed[stage.id] = error
        self.screen.failed(stage, error)

    def _leave(self) -> None:
        for worker in self.pool:
            worker.close()
        until = time.monotonic() + PATIENCE
        try:
            while any(w.process.poll() is None for w in self.pool) and time.monotonic() < until:
                time.sleep(0.1)
        except KeyboardInterrupt:
            pass

    def _end(self) -> None:
        for worker in self.pool:
            worker.close()
        until = time.monotonic() + 5.0
        for worker in self.pool:
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.send_signal(signal.SIGKILL)


def _status(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"{name}; out of memory?" if name == "SIGKILL" else name


def execute(plan: Plan, sweep: Sweep, workers: int | None, tries: int) -> int:
    """Run what is missing; print what failed and why. Returns 0, or 1 when anything failed, or 130 after Ctrl-C."""
    with Screen() as screen:
        scheduler = Scheduler(plan, screen, workers, tries)
        try:
            scheduler.run()
        except KeyboardInterrupt:
            screen.say(f"stopped with {len(scheduler.done)} of {scheduler.total} stages done; the same command goes on")
            return 130
        screen.failures(plan, scheduler.failed, scheduler.blocked)
    return 1 if scheduler.failed else 0
