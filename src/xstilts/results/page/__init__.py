"""`STORE/report.html`: one page that opens without network, made of `page.html.j2` and what the other rooms compute.

Maps are tables whose cells are coloured, so that they can be read aloud, copied and printed; figures have theirs below.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xstilts import files
from xstilts.results.missing import lacking
from xstilts.results.spent import spent
from xstilts.results.table import CELL, unfinished

if TYPE_CHECKING:
    from xstilts.results.question.printed import Said
    from xstilts.store import Store
    from xstilts.sweep.sweeps import Sweep

HERE = Path(__file__).parent
_HEAD = 1000  # characters, within which a page says what it was made of


def write(store: Store, sweeps: Sequence[Sweep], frame: pd.DataFrame, found: Sequence[Said]) -> Path:
    """The page of these sweeps, their tidy table and what it answers as STORE/report.html, replaced in one step."""
    path = store.root / "report.html"
    files.write_bytes(path, page(store, sweeps, frame, found).encode())
    return path


def drawn(store: Store, sweeps: Sequence[Sweep], frame: pd.DataFrame) -> Path | None:
    """The page, if it is already there and of these sweeps and this table."""
    path = store.root / "report.html"
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return None
    return path if f'content="{_identity(sweeps, frame)}"' in head else None


def _identity(sweeps: Sequence[Sweep], frame: pd.DataFrame) -> str:
    """Of what a page shows of stages that are done."""
    found = hashlib.sha256(" ".join([*(sweep.name for sweep in sweeps), *frame.columns]).encode())
    found.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return found.hexdigest()


def page(store: Store, sweeps: Sequence[Sweep], frame: pd.DataFrame, found: Sequence[Said]) -> str:
    """The HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from xstilts.results.page.parts import World  # draws with Matplotlib, whose import takes a second

    cost = spent(store, sweeps)
    loader = FileSystemLoader(HERE)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html.j2").render(
        style=(HERE / "style.css").read_text(encoding="utf-8"),
        identity=_identity(sweeps, frame),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cells=len(frame[CELL].drop_duplicates()),
        unfinished=unfinished(frame) if len(frame) else 0,
        sweeps=sweeps,
        worlds=[
            World(str(name), rows, [said for said in found if said.scope.world == name])
            for name, rows in frame.groupby("world")
        ],
        cost=_rows(cost),
        total=_total(cost),
        lacking=lacking(store, sweeps),
    )


def _total(cost: pd.DataFrame) -> dict[str, float]:
    """Of the rows of `spent`; of hours and sub-words NaN where none are known."""
    counts, known = ("stages", "uses", "done", "measured"), ("hours", "saved", "tokens")
    return {name: cost[name].sum(min_count=name in known) for name in (*counts, *known)}


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
