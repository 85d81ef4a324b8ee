"""What a plan costs: training and evaluation compute, time, memory, disk, and the longest path through the DAG.

Floating-point operations are counted as 6 N a token trained and 2 N a token read (Kaplan et al. 2020), N without
embeddings; tokens from the published sizes and a mean length a format. Where the store holds measured stages of the
same model and kind on such a device, CPU or GPU, seconds and memory come from them; elsewhere there is no guess at
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

from xstilts.stage import Stage
from xstilts.sweep.asked import Asked, here
from xstilts.sweep.foreseen import foresee
from xstilts.sweep.lengths import TOKENS
from xstilts.sweep.measured import Like, Measured, device, like, measured, ranks
from xstilts.sweep.plan import Plan

BYTES = 4  # a parameter in a checkpoint
STATE = 12  # a parameter in a resume state: weights and two moments


@dataclass(frozen=True)
class Cost:
    """Of one stage. `flop` is NaN when sizes are not known before fetching."""

    flop: float
    seconds: float | None  # of one process, as measured in this store on stages and devices like this one
    disk: int  # bytes that stay until retention
    transient: int  # bytes while it runs
    memory: int = 0  # bytes on its device: the most that was measured of its like, else what is foreseen
    measured: bool = False  # whether `memory` was
    bound: bool = False  # whether `memory` is foreseen and may be less


def parameters(stage: Stage) -> tuple[int, int]:
    """Parameters of the encoder, and of its blocks alone."""
    config, total = stage.spec["model"]["config"], int(stage.about["parameters"])
    return total, total - int(config["vocab_size"]) * int(config["hidden_size"])


def flop(stage: Stage, read: float) -> float:
    """Floating-point operations of a stage that reads so many sub-words."""
    _, blocks = parameters(stage)
    if layer := stage.spec.get("layer"):
        blocks = blocks * layer // stage.spec["model"]["config"]["num_hidden_layers"]
    return (6 if stage.kind == "train" else 2) * blocks * read


def tokens(stage: Stage) -> float:
    """Sub-words that a stage reads, passes over the training data included; NaN when a size is not known."""
    spec = stage.spec
    if stage.kind == "evaluate":
        return math.fsum(_rows([part]) * TOKENS[spec["task"]["format"]] for part in spec["parts"].values())
    recipe, mixture = spec["recipe"], spec["mixture"]
    sizes = [_rows(entry["train"]) for entry in mixture]
    fixed = [entry["rate"] for entry in mixture]
    free = [_weight(size, recipe) if rate is None else 0.0 for size, rate in zip(sizes, fixed, strict=True)]
    rest = 1 - sum(rate or 0.0 for rate in fixed)  # of the steps, for the entries without a fixed rate
    shares = [rate if rate is not None else rest * w / sum(free) for rate, w in zip(fixed, free, strict=True)]
    each = [min(TOKENS[entry["task"]["format"]], recipe["max_length"]) for entry in mixture]
    if recipe["steps"]:
        units = recipe["steps"] * recipe["batch_size"]
    elif rest:
        units = recipe["epochs"] * sum(n for n, rate in zip(sizes, fixed, strict=True) if rate is None) / rest
    else:
        units = recipe["epochs"] * sum(sizes)
    return units * sum(share * length for share, length in zip(shares, each, strict=True))


def _rows(parts: Iterable[dict[str, Any]]) -> float:
    return sum(math.nan if part["rows"] is None else part["rows"] for part in parts)


def _weight(size: float, recipe: dict[str, Any]) -> float:
    """An entry's weight in the sampler, as `xstilts.data.mixture` has it."""
    if recipe["sampler"] == "temperature":
        return min(size, math.inf if recipe["cap"] is None else recipe["cap"]) ** (1 / recipe["temperature"])
    return 1.0 if recipe["sampler"] == "uniform" else size


def costs(plan: Plan, ask: Callable[[Stage], Asked] = here, known: Measured | None = None) -> dict[str, Cost]:
    """Of every stage of the plan, on what is asked for it. `known`: what was measured, where the caller has asked."""
    known = known or measured(plan, ask)
    speed = {**known.speed, **_corrected(plan)}
    found = {}
    for stage in plan.stages.values():
        total, _ = parameters(stage)
        train, read, asked = stage.kind == "train", tokens(stage), ask(stage)
        alike = like(stage, asked)
        seconds = read / speed.get(alike, math.nan)
        foreseen = foresee(stage, asked.device, shards=asked.tasks if stage.numerics["shard"] else 1)
        found[stage.id] = Cost(
            flop=flop(stage, read),
            seconds=None if math.isnan(seconds) else seconds,
            disk=total * BYTES if train else 0,
            transient=total * STATE if train else 0,
            memory=known.memory.get(alike, foreseen.need.total),
            measured=alike in known.memory,
            bound=foreseen.bound and alike not in known.memory,
        )
    return found


def _corrected(plan: Plan) -> dict[Like, float]:
    """Estimated tokens a second of stages alike, from done stages of the plan: the estimate corrects itself."""
    rates: dict[Like, list[float]] = {}
    for stage in plan.stages.values():
        folder = plan.store.folder(stage.id)
        record = (folder.record() or {}) if folder.marker.exists() else {}
        if record.get("seconds") and tokens(stage) > 0:  # which NaN is not
            rate = tokens(stage) / record["seconds"] / ranks(record)
            rates.setdefault((stage.about["model"], stage.kind, device(record)), []).append(rate)
    return {key: median(values) for key, values in rates.items()}


def shared(plan: Plan) -> float:
    """Compute of every cell alone over that of every stage once; stages of unknown size are left out of both."""
    each = {stage.id: flop(stage, tokens(stage)) for stage in plan.stages.values()}
    known = {stage: count for stage, count in each.items() if count == count}
    alone = math.fsum(known.get(stage, 0.0) for chain in plan.chains for stage in chain)
    return alone / math.fsum(known.values()) if any(known.values()) else math.nan


def priorities(plan: Plan, needed: Iterable[str]) -> dict[str, float]:
    """What goes first has the largest: compute on the longest path from a stage to the end.

    With order=seed_first, everything of an earlier seed comes before anything of a later one.
    """
    counts = {stage.id: flop(stage, tokens(stage)) for stage in plan.stages.values()}
    seeds = sorted({seed(plan, stage) for stage in plan.stages}) if plan.order == "seed_first" else []
    above = 1 + math.fsum(f for f in counts.values() if f == f)

    @cache
    def below(stage: str) -> float:
        own = counts[stage]
        return (own if own == own else 0.0) + max((below(c) for c in plan.children.get(stage, ())), default=0.0)

    return {s: below(s) + (above * (len(seeds) - seeds.index(seed(plan, s))) if seeds else 0.0) for s in needed}


def seed(plan: Plan, stage: str) -> float:
    """Of a training, or of that whose weights are evaluated; before all others where nothing was trained."""
    found = plan.stages[stage]
    while "seed" not in found.spec:
        if not found.upstream:
            return -math.inf
        found = plan.stages[next(iter(found.upstream.values()))]
    return float(found.spec["seed"])


def longest(plan: Plan, cost: dict[str, Cost]) -> list[str]:
    """The stages of the most expensive chain from a root to a leaf."""
    best: dict[str, tuple[float, list[str]]] = {}
    for stage in plan.stages.values():
        before = max((best[u] for u in stage.upstream.values()), key=lambda b: b[0], default=(0.0, []))
        own = cost[stage.id].flop
        best[stage.id] = (before[0] + (own if own == own else 0.0), [*before[1], stage.id])
    return max(best.values(), key=lambda b: b[0], default=(0.0, []))[1]


def peak_disk(plan: Plan, cost: dict[str, Cost], workers: int) -> int:
    """Bytes at the worst moment: every checkpoint that keep= holds, and the resume states of what runs at once."""
    keep = plan.keep
    held = {s for s in plan.stages if keep == "all" or _starts_training(plan, s)}
    going = [cost[s].transient + (0 if s in held else cost[s].disk) for s in plan.stages]
    return sum(cost[s].disk for s in held) + sum(sorted(going, reverse=True)[:workers])


def _starts_training(plan: Plan, stage: str) -> bool:
    return any(plan.stages[c].kind == "train" for c in plan.children.get(stage, ()))
