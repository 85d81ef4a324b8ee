"""What a store lacks of what was asked for, and the commands that would fill it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xstilts.store import Store

if TYPE_CHECKING:
    from xstilts.sweep.sweeps import Sweep


@dataclass(frozen=True)
class Gap:
    """A sweep that is not whole: cells without a published evaluation."""

    sweep: str
    missing: int
    of: int
    command: str


def gaps(store: Store, sweeps: Sequence[Sweep]) -> list[Gap]:
    """Of the given sweeps, the ones with cells that never ran, failed or were left half-written."""
    found = []
    for sweep in sweeps:
        missing = sum(store.folder(cell["stages"][-1]).published is None for cell in sweep.cells)
        if missing:
            place = "" if str(store.root) == "store" else f" store.path={shlex.quote(str(store.root))}"
            command = f"python launch.py do=retry sweep={sweep.name}{place}"
            found.append(Gap(sweep.name, missing, len(sweep.cells), command))
    return found


def said(found: Sequence[Gap]) -> list[str]:
    """A line a sweep."""
    return [
        f"{gap.missing} of {gap.of} cells of sweep {gap.sweep} are not done; to fill: {gap.command}" for gap in found
    ]
