"""`do=export`: a folder for a paper, the same bytes for the same results, whole or not there at all.

    README.md                what is here, and how it was made
    verdict.txt              the answer to the question, a world and recipe each
    tables/WORLD/*.tex       booktabs, with 95 % intervals and counts; figures/WORLD/*.pdf
    results.csv              the tidy table
    predictions/STAGE/       of every evaluation that is done, with its scores; cells.csv says whose they are
    stages/STAGE.yaml        the frozen configuration of every stage; sweeps/NAME.yaml what was asked for
    environments.csv         of every done stage: attempt, commit, versions, numerics, seconds
    data.csv                 data sets with licences, citations and the hash of each part that was read
    SHA256SUMS               of all files: sha256sum -c SHA256SUMS

Nothing in it names a place on this machine, and nothing the hour of the export.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from xstilts import files
from xstilts.errors import UserError
from xstilts.results import figures, views
from xstilts.results.export import sources, tables
from xstilts.results.question.printed import verdicts
from xstilts.results.summary import summary
from xstilts.results.table import unfinished

if TYPE_CHECKING:
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep

SUMS = "SHA256SUMS"


def export(store: Store, sweeps: Sequence[Sweep], frame: pd.DataFrame, place: Path) -> bool:
    """Write the folder `place` of these sweeps and their tidy table; False where it is there already, the same.

    Raises `UserError` for a folder that holds anything else, and leaves it alone.
    """
    if frame.empty:
        raise UserError(f"the store {store.root} has no sweep: there is nothing to export")
    there = place.exists()
    target = place.with_name(f".{place.name}.new") if there else place
    try:
        with files.folder(target) as root:
            _fill(root, store, sweeps, frame)
            files.write_bytes(root / SUMS, sums(root).encode())
        if not there:
            return True
        if not (place / SUMS).is_file() or sums(place) != (target / SUMS).read_text():
            raise UserError(f"{place} is there, and is not what would be written: delete it, or choose export=FOLDER")
        return False
    finally:
        if there:
            files.remove(target)


def sums(root: Path) -> str:
    """Of every file below `root` but the list itself, as sha256sum writes it."""
    found = sorted(path for path in root.rglob("*") if path.is_file() and path != root / SUMS)
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}\n" for path in found
    )


def _fill(root: Path, store: Store, sweeps: Sequence[Sweep], frame: pd.DataFrame) -> None:
    said = []
    for name, rows in frame.groupby("world"):
        _world(root, str(name), rows)
        for one in verdicts(rows):
            said += [f"world={one.scope.world} recipe={one.scope.recipe}", *(f"  {line}" for line, _ in one.lines), ""]
    (root / "verdict.txt").write_text("\n".join(said), encoding="utf-8")
    frame.to_csv(root / "results.csv", index=False)
    sources.write(root, store, sweeps)
    (root / "README.md").write_text(_readme(sweeps, frame), encoding="utf-8")


def _world(root: Path, name: str, frame: pd.DataFrame) -> None:
    means = summary(frame)
    for folder in ("tables", "figures"):
        (root / folder / name).mkdir(parents=True)
    for file, text in tables.tables(means).items():
        (root / "tables" / name / f"{file}.tex").write_text(text, encoding="utf-8")
    if not (frame["inter"] != "none").any():
        return
    drawn = {"heat": figures.heat(means), "languages": figures.languages(views.by_language(frame))}
    drawn["tiers"] = figures.tiers(views.by_tier(frame), views.by_tier(frame, targets=True))
    for file, figure in drawn.items():
        (root / "figures" / name / f"{file}.pdf").write_bytes(figures.pdf(figure))


def _readme(sweeps: Sequence[Sweep], frame: pd.DataFrame) -> str:
    missing = unfinished(frame)
    lines = ["# Results of xstilts", "", *(__doc__ or "").splitlines()[2:-2]]
    lines += ["", f"Cells that are not done, NaN in every table: {missing}.", ""]
    if frame["synthetic"].any():
        lines += ["Rows marked `synthetic` are of a generated world and say nothing about real languages.", ""]
    return "\n".join([*lines, "Sweeps: " + ", ".join(sweep.name for sweep in sweeps), ""])
