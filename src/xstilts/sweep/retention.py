"""Disk: which weights go once nobody needs them, and what `do=clean` removes."""

from __future__ import annotations

import shutil
from pathlib import Path

from xstilts import owner
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
            freed += remove(folder.published / "checkpoint")
    return freed


def _needed_elsewhere(plan: Plan, stage: str) -> bool:
    """Whether another sweep of this store still has to start something from it."""
    from xstilts.sweep import sweeps

    for sweep in sweeps.all_(plan.store):
        for name, about in sweep.stages.items():
            if stage in about["upstream"].values() and not plan.store.done(name):
                return True
    return False


def clean(store: Store) -> tuple[int, list[str]]:
    """Remove abandoned attempts of done stages, resume states nobody can use, and half-written files.

    Never touches a stage that a living owner works on. Returns bytes freed, and what was removed.
    """
    freed, removed = 0, []
    for folder in store.stages():
        holder = folder.owner()
        if holder is not None and owner.alive(holder, folder.beat()):
            continue
        published = folder.published
        for attempt in folder.attempts():
            if published is not None and attempt != published and not (attempt / "scores.parquet").exists():
                freed += remove(attempt)
                removed.append(str(attempt))
        for leftover in folder.root.rglob(".*.tmp"):
            freed += remove(leftover)
            removed.append(str(leftover))
    return freed, removed


def remove(path: Path) -> int:
    """Delete a file or folder; renamed first, so that nobody finds half of it. Returns its bytes."""
    if not path.exists():
        return 0
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
    gone = path.with_name(f".{path.name}.gone")
    path.rename(gone)
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    return size
