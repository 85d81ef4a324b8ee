"""A worker: a process that does stages as it is told, on one GPU or a share of the cores."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from xstilts.stage import Stage

Event = dict[str, Any]

#: What a worker imports so that it can ask whether somebody who holds a claim lives (see `xstilts.owner.register`).
OWNERS = "xstilts.sweep.slurm.owners"


@dataclass(eq=False)
class Worker:
    """One process. Everything it says arrives in `inbox`, its end included (event `died`).

    It leaves, after saving its state, when its standard input ends; so it outlives nobody who started it.
    """

    number: int
    inbox: queue.SimpleQueue[tuple[Worker | None, Event]]
    environment: dict[str, str]
    stage: Stage | None = None  # what it does now
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xstilts.work.run", "--serve", "--owners", OWNERS],
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
        errors: deque[str] = deque(maxlen=20)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        reader = threading.Thread(target=errors.extend, args=[self.process.stderr], daemon=True)
        reader.start()
        for line in self.process.stdout:
            if line.endswith("\n"):  # a killed process may leave half a line
                self.inbox.put((self, json.loads(line)))
        reader.join(5)
        self.inbox.put((self, {"event": "died", "status": self.process.wait(), "stderr": "".join(errors)}))

    def give(self, stage: Stage, request: dict[str, Any]) -> None:
        self.stage = stage
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its `died` event is on the way
            self.process.stdin.write(json.dumps(request) + "\n")

    def close(self) -> None:
        """Nothing more comes: it saves the state of what it does, and leaves."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()


def death(event: Event) -> str:
    """What a `died` event says, in one line."""
    code, last = event["status"], event["stderr"].strip().splitlines()[-1:]
    if code >= 0:
        return ": ".join([f"its process ended with status {code}", *last])
    name = signal.Signals(-code).name
    return f"its process was killed ({name}{'; out of memory?' if name == 'SIGKILL' else ''})"


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
