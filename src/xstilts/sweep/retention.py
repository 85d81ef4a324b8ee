"""Disk: which weights go once nobody needs them, and what `do=clean` removes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xstilts import files, owner
from xstilts.stage import Stage
from xstilts.store import Folder, Store
from xstilts.sweep.plan import Plan


def evict(plan: Plan) -> int:
    """Delete the weights that `keep=` does not keep and that everything in the plan has used. Returns bytes freed.

    A later sweep that needs them trains them again: same id, same result at equal numerics.
    """
    if plan.keep == "all":
        return 0
    done = plan.done()
    freed = 0
    for stage in plan.stages.values():
        children = plan.children.get(stage.id, [])
        if stage.kind != "train" or stage.id not in done or not children or not done.issuperset(children):
            continue
        if plan.keep == "inter" and any(plan.stages[c].kind == "train" for c in children):
            continue
        folder = Folder(plan.store.root / "stages" / stage.id)  # never of another's store
        if folder.published and not _needed_elsewhere(plan, stage.id):
            freed += files.remove(folder.published / "checkpoint")
    return freed


def _needed_elsewhere(plan: Plan, stage: str) -> bool:
    """Whether another sweep of this store still has to start something from it."""
    from xstilts.sweep import sweeps

    for sweep in sweeps.all_(plan.store):
        for name, about in sweep.stages.items():
            if stage in about["upstream"].values() and not plan.store.done(name):
                return True
    return False


def evict_upstream(store: Store, folder: Folder, keep: str) -> int:
    """After a stage is done, with no plan at hand: the weights it started from, once no sweep needs them any more."""
    from xstilts.sweep import sweeps

    freed = 0
    for upstream in Stage.load(folder.spec).upstream.values():
        children = {n: a for s in sweeps.all_(store) for n, a in s.stages.items() if upstream in a["upstream"].values()}
        wanted = keep == "all" or (keep == "inter" and any(a["kind"] == "train" for a in children.values()))
        home = Folder(store.root / "stages" / upstream)  # never of another's store
        if not wanted and home.published and all(store.done(child) for child in children):
            freed += files.remove(home.published / "checkpoint")
    return freed


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
