"""`do=plan`: the plan in words and tables, before anything runs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xstilts.stage import Stage
from xstilts.sweep import sweeps
from xstilts.sweep.asked import Asked, here
from xstilts.sweep.cost import Cost, costs, longest, peak_disk, shared
from xstilts.sweep.foreseen import MOST, fewest
from xstilts.sweep.measured import measured
from xstilts.sweep.plan import Plan

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def describe(plan: Plan, console: Console, workers: int = 1, ask: Callable[[Stage], Asked] = here) -> None:
    """Cells, unique stages, what is reused, overlaps, compute, time, memory, disk, the longest path."""
    known = measured(plan, ask)
    cost = costs(plan, ask, known)
    needed = plan.needed()
    added = f" ({plan.baseline_added} added as the inter=none baseline; baseline=false leaves them out)"
    say = partial(console.print, markup=False, highlight=False)
    say(f"{many(len(plan.cells), 'cell')}{added if plan.baseline_added else ''}", style="bold")
    uses = sum(map(len, plan.chains))
    say(f"{many(len(plan.stages), 'unique stage')} for {many(uses, 'use')}; {len(needed)} to run", style="bold")
    if (saved := shared(plan)) >= 1.05:
        say(f"a job a cell would compute {saved:.1f} times as much")
    if plan.beyond:
        say(f"the budget is not enough for {plan.beyond} more cells")
    console.print(_stages(plan, needed, cost, ask))
    if needed:
        console.print(_partitions(needed, cost, ask))
    reused = [s for s in plan.stages if s not in needed]
    if reused:
        say(f"{len(reused)} stages are done and reused{_users(plan, reused)}")
    if same := sorted({(c.names["inter"], c.names["target"]) for c in plan.cells if c.same_task}):
        pairs = ", ".join(f"{i} before {t}" for i, t in same)
        say(f"same-task pairs (the target trains on the intermediate data again): {pairs}")
    for line in _lacking(plan):
        say(line)
    for line in unavailable(plan):
        say(line, style="yellow")
    if any(cost[s].seconds is not None for s in needed):
        say(f"hours as measured in this store, on {', '.join(known.devices)}")
    for line in _memory_said(plan, cost, ask):
        say(line)
    say(f"peak disk {size(peak_disk(plan, cost, workers))} with keep={plan.keep}")
    if path := longest(plan, cost):
        flop = _flop([cost[s].flop for s in path])
        say(f"longest path: {plan.stages[path[-1]].label} ({len(path)} stages, {flop})")
    for line in _provisional(plan):
        say(line, style="yellow")


def many(count: int, what: str) -> str:
    """1 cell, 2 cells."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _stages(plan: Plan, needed: dict[str, Stage], cost: dict[str, Cost], ask: Callable[[Stage], Asked]) -> Table:
    """One row a (kind, model): stages, left to run, compute."""
    rows: dict[tuple[str, str], list[Stage]] = defaultdict(list)
    for stage in plan.stages.values():
        rows[stage.kind, stage.about["model"]].append(stage)
    table = Table("stage", "model", box=None, pad_edge=False)
    for name in ("unique", "to run", "compute", "hours", "memory"):
        table.add_column(name, justify="right")
    for (kind, model), stages in sorted(rows.items(), reverse=True):
        left = [s for s in stages if s.id in needed]
        seconds = [_seconds(cost[s.id], ask(s)) for s in left]
        known = [s for s in seconds if s is not None]
        hours = _hours(sum(known)) if left and len(known) == len(left) else "-"
        flop = _flop([cost[s.id].flop for s in left])
        table.add_row(kind, Text(model), str(len(stages)), str(len(left)), flop, hours, _memory(stages, cost))
    return table


def _partitions(needed: dict[str, Stage], cost: dict[str, Cost], ask: Callable[[Stage], Asked]) -> Table:
    """One row a partition: stages to run, GPU-hours where known, the most memory that one needs and asks for."""
    rows: dict[str, list[tuple[Stage, Asked]]] = defaultdict(list)
    for stage in needed.values():
        asked = ask(stage)
        rows[asked.partition].append((stage, asked))
    table = Table("partition", box=None, pad_edge=False)
    for name in ("to run", "GPU-hours", "not measured", "peak memory", "node memory asked"):
        table.add_column(name, justify="right")
    for partition, stages in sorted(rows.items()):
        seconds = [(_seconds(cost[stage.id], asked), asked.gpus) for stage, asked in stages]
        known = [s * gpus for s, gpus in seconds if s is not None]
        hours = f"{sum(known) / 3600:.2f}" if known else "-"
        most = max((asked.memory or math.inf for _, asked in stages), default=math.inf)
        wanted = size(most) if most < math.inf else "-"
        memory = _memory([stage for stage, _ in stages], cost)
        table.add_row(Text(partition), str(len(stages)), hours, str(len(stages) - len(known)), memory, wanted)
    return table


def _seconds(cost: Cost, asked: Asked) -> float | None:
    """How long a stage runs on what is asked for it."""
    return None if cost.seconds is None else asked.seconds(cost.seconds)


def _memory(stages: Iterable[Stage], cost: dict[str, Cost]) -> str:
    """The most that one of them takes, and how that is known."""
    most = max((cost[stage.id] for stage in stages), key=lambda c: c.memory)
    known = "measured" if most.measured else "predicted"
    return f"{'up to ' if most.bound else ''}{size(most.memory)} {known}"


def _memory_said(plan: Plan, cost: dict[str, Cost], ask: Callable[[Stage], Asked]) -> Iterator[str]:
    """What the predictions hold for, and how many GPUs a training needs that does not fit any."""
    if any(one.bound for one in cost.values()):
        yield "memory up to: with all embeddings; a stage trains those of sub-words in its data, and says what it takes"
    trained: dict[str, list[Stage]] = defaultdict(list)
    for stage in plan.stages.values():
        if stage.kind == "train" and ask(stage).device == "cuda":
            trained[stage.about["model"]].append(stage)
    for model, stages in trained.items():
        found = fewest(stages)
        if set(found.values()) != {1}:
            needs = ", ".join(f"{n or 'over ' + str(MOST)} of {gb} GB" for gb, n in found.items())
            yield f"fewest GPUs that hold a training of {model}, with numerics.shard=true where it is several: {needs}"


def _users(plan: Plan, reused: Sequence[str]) -> str:
    """The sweeps that done stages were done for."""
    users: Counter[str] = Counter()
    for sweep in sweeps.all_(plan.store):
        users[f"{sweep.name} ({sweep.user})"] += sum(s in sweep.stages for s in reused)
    also = ", ".join(f"{count} of sweep {name}" for name, count in users.items() if count)
    return f": {also}" if also else ""


def _lacking(plan: Plan) -> Iterator[str]:
    """What results will lack because the library does."""
    for inputs in plan.worlds.values():
        for task in inputs.used.values():
            if missing := inputs.missing(task):
                yield f"missing in the library, NaN in the table: {task.name} {' '.join(missing)}"
            if inputs.partial(task):
                yield f"partial: the library holds a slice of {task.name}"


def _provisional(plan: Plan) -> Iterator[str]:
    for inputs in plan.worlds.values():
        if inputs.provisional:
            data = listed(inputs.unfilled)
            models = ", ".join(sorted(inputs.unfilled_models)) or "-"
            how = "do=fetch fills it" if inputs.world.kind == "hub" else "do=run fills it first"
            yield f"provisional ids: the library {inputs.root} lacks data {data}; models {models}. {how}."


def unavailable(plan: Plan) -> list[str]:
    """What data is nowhere, a line a reason."""
    said = "left out" if plan.skipped else "need it; unavailable=skip leaves them out"
    return [f"{reason} ({many(count, 'cell')} {said})" for reason, count in plan.unavailable.items()]


def listed(tasks: Iterable[str]) -> str:
    """Names of tasks, those that are one task in several languages together."""
    found: dict[str, list[str]] = defaultdict(list)
    for base, _, language in (name.partition(".") for name in sorted(tasks)):
        found[base].append(language)
    words = (f"{base} in {' '.join(one or 'en' for one in own)}" if any(own) else base for base, own in found.items())
    return ", ".join(words) or "-"


def size(count: float) -> str:
    """Bytes for people: 12.3 GB."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _flop(counts: Sequence[float]) -> str:
    """The sum, and how many of its terms are not known."""
    known = [count for count in counts if not math.isnan(count)]
    unknown = f"{len(counts) - len(known)} of unknown size" if len(known) < len(counts) else ""
    if not known and unknown:
        return unknown
    total, unit = sum(known), ""
    for unit in ("", "k", "M", "G", "T", "P", "E"):
        if total < 1000 or unit == "E":
            break
        total /= 1000
    return f"{total:.1f} {unit}FLOP" + (f" + {unknown}" if unknown else "")


def _hours(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.1f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
    )
