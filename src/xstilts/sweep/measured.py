"""What the store knows of stages that are done: how fast each model trains and is evaluated, and in how much memory.

Seconds and bytes are those of whoever did them. A CPU's say nothing of a GPU, and are kept apart; a GPU of another kind
takes others too, so the devices are named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from xstilts.stage import Stage
from xstilts.store import Folder
from xstilts.sweep.asked import Asked
from xstilts.sweep.plan import Plan

Like = tuple[str, str, str]  # a model's name, a kind of stage, and cpu or cuda


@dataclass(frozen=True)
class Measured:
    """Of the stages that are done, in the store and in those that it reads."""

    speed: dict[Like, float]  # tokens a second and process, the median
    memory: dict[Like, int]  # bytes, the largest
    devices: list[str]


def measured(plan: Plan, ask: Callable[[Stage], Asked]) -> Measured:
    """What stages like those of the plan took. Weights and results of other sweeps count, since they lie there."""
    wanted = {like(stage, ask(stage)) for stage in plan.stages.values()}
    speed: dict[Like, list[float]] = defaultdict(list)
    memory: dict[Like, int] = {}
    devices: set[str] = set()
    for kind, record in _records(plan):
        notes = record.get("notes", {})
        key = (record.get("model", ""), kind, device(record))
        if key not in wanted:
            continue
        if record.get("seconds") and notes.get("tokens"):
            speed[key].append(notes["tokens"] / record["seconds"] / ranks(record))
        if notes.get("peak_memory"):
            memory[key] = max(memory.get(key, 0), notes["peak_memory"])
        devices.add(notes["machine"]["device"])
    return Measured({key: median(values) for key, values in speed.items()}, memory, sorted(devices))


def like(stage: Stage, asked: Asked) -> Like:
    """What a stage is compared by, on what is asked for it."""
    return stage.about["model"], stage.kind, asked.device


def device(record: dict[str, Any]) -> str:
    """cpu or cuda, by an attempt's record; nothing where it does not say."""
    name = record.get("notes", {}).get("machine", {}).get("device")
    return "" if name is None else "cpu" if name == "cpu" else "cuda"


def ranks(record: dict[str, Any]) -> int:
    """How many processes did a stage together, by its attempt's record."""
    return int(record.get("notes", {}).get("machine", {}).get("ranks", 1))


def _records(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and record of every published attempt."""
    for root in (plan.store.root, *plan.store.read):
        for path in sorted((root / "stages").glob("*-*")):
            folder = Folder(path)
            if folder.marker.exists() and (record := folder.record()):
                yield path.name.split("-")[0], record
