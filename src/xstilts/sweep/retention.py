"""Disk: which weights go once nobody needs them, and what `do=clean` removes.

Weights of a sweep that was asked for with keep=all stay, whatever other commands say: only its own command, or
do=retry of it, with another keep= lets them go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xstilts import files, owner
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.sweep.plan import Plan


def evict(plan: Plan) -> int:
    """Delete the weights that `keep=` does not keep and that everything recorded has used. Returns bytes freed.

    A later sweep that needs them trains them again: same id, same result at equal numerics.
    """
    recorded = _Recorded.of(plan.store)
    for stage in plan.stages.values():
        for upstream in stage.upstream.values():
            recorded.users[upstream][stage.id] = stage.kind
    return sum(_evict(plan.store, stage, recorded, plan.keep) for stage in plan.stages)


def evict_upstream(store: Store, folder: Folder, keep: str) -> int:
    """After a stage is done, with no plan at hand: the weights it started from, once no sweep needs them any more."""
    recorded = _Recorded.of(store)
    return sum(_evict(store, stage, recorded, keep) for stage in Stage.load(folder.spec).upstream.values())


def evict_recorded(store: Store, keep: str) -> int:
    """Of every sweep of the store."""
    recorded = _Recorded.of(store)
    return sum(_evict(store, stage, recorded, keep) for stage in recorded.users)


def holding(store: Store) -> list[str]:
    """The sweeps that keep all of their weights."""
    from xstilts.sweep import sweeps

    return [sweep.name for sweep in sweeps.all_(store) if sweep.keep == "all"]


@dataclass(frozen=True)
class _Recorded:
    """What all sweeps of a store want of its stages."""

    users: dict[str, dict[str, str]]  # the stages that start from a stage, with their kinds
    kept: set[str]  # stages of sweeps that keep all of their weights

    @classmethod
    def of(cls, store: Store) -> _Recorded:
        from xstilts.sweep import sweeps

        every = sweeps.all_(store)
        users: dict[str, dict[str, str]] = defaultdict(dict)
        for sweep in every:
            for name, about in sweep.stages.items():
                for upstream in about["upstream"].values():
                    users[upstream][name] = about["kind"]
        return cls(users, {stage for sweep in every if sweep.keep == "all" for stage in sweep.stages})


def _evict(store: Store, stage: str, recorded: _Recorded, keep: str) -> int:
    """Delete the weights of a stage once all its users are done, if `keep` and every sweep let them go."""
    users = recorded.users.get(stage, {})
    if not users or keep == "all" or stage in recorded.kept or (keep == "inter" and "train" in users.values()):
        return 0
    home = Folder(store.root / "stages" / stage)  # never of another's store
    if home.published is None or not all(store.done(user) for user in users):
        return 0
    return files.remove(home.published / "checkpoint")


def clean(store: Store) -> tuple[int, list[str]]:
    """Remove abandoned attempts, resume states nobody continues from, and half-written files.

    Never touches a stage that a living owner works on, a rerun that has scores, or the newest state of what is not
    done yet. Returns bytes freed, and what was removed.
    """
    freed, removed = 0, []
    for folder in store.stages():
        holder = folder.owner()
        if holder is not None and owner.alive(holder, folder.beat()):
            continue
        for path in [*_abandoned(folder), *_leftovers(folder.root)]:
            freed += files.remove(path)
            removed.append(str(path))
    return freed, removed


def _abandoned(folder: Folder) -> Iterator[Path]:
    published, newest = folder.published, None
    for attempt in reversed(folder.attempts()):
        state = files.recover(attempt / "resume")
        if published is not None and attempt != published and not (attempt / "scores.parquet").exists():
            yield attempt
        elif state is not None and (published is not None or newest is not None):
            yield state
        else:
            newest = newest or state


def _leftovers(root: Path) -> Iterator[Path]:
    """What a killed writer or deleter left: see `xstilts.files`."""
    for pattern in (".*.tmp", ".*.gone", ".probe-*"):
        yield from root.rglob(pattern)
    for old in root.rglob(".*.old"):
        if old.with_name(old.name[1:].removesuffix(".old")).exists():
            yield old
