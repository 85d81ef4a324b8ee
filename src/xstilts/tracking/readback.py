"""What W&B has, read with its own public API: to be compared with the store, and for whoever wants the results."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.config import Tracker
from xstilts.tracking import names
from xstilts.tracking.client import library
from xstilts.tracking.entry import Entry, kept

if TYPE_CHECKING:
    import pandas as pd

#: Two rows of the same step may differ so much, relatively: a resumed training on other hardware has other last digits.
LAST_DIGITS = 1e-2
RESULTS = "results.parquet"


class Differs(Exception):
    """What W&B has is not what the store has."""


def api() -> Any:
    """A session with the server. Raises what the client raises when there is no key or no server."""
    return library().Api(timeout=30)


def place(session: Any, tracker: Tracker) -> str:
    """ENTITY/PROJECT"""
    return f"{tracker.entity or session.default_entity}/{tracker.project}"


def runs(session: Any, tracker: Tracker, sweeps: Iterable[str]) -> dict[str, Any]:
    """The runs of some sweeps that are there, by id, each whole."""
    tags = [f"sweep:{name}" for name in sweeps]
    try:
        found = session.runs(place(session, tracker), {"tags": {"$in": tags}}, per_page=200, lazy=False)
        return {run.id: run for run in found}
    except ValueError as error:
        if "Could not find project" in str(error):
            return {}
        raise


def check(entry: Entry, tracker: Tracker) -> None:
    """Raises `Differs` unless W&B has the run as it stands."""
    session = api()
    if found := differences(session.run(f"{place(session, tracker)}/{entry.id}"), entry):
        raise Differs(f"{entry.id}: {'; '.join(found)}")


def differences(run: Any, entry: Entry) -> list[str]:
    """In what a run that was read differs from the store, a line each; nothing when it is level.

    Rows are counted and compared, step by step. A run whose attempt was killed may have rows that its successor has not
    made again yet: these are no difference as long as the stage is not done.
    """
    found = []
    have = [row for row in run.scan_history(use_cache=False) if names.STEP in row]
    want = entry.rows
    if len(have) < len(want) or (len(have) > len(want) and entry.status == "done"):
        found.append(f"{len(have)} rows, not {len(want)}")
    for number, (there, here) in enumerate(zip(have, want, strict=False)):
        if not _same_row({k: v for k, v in there.items() if not k.startswith("_") and v is not None}, here):
            found.append(f"row {number} is not that of step {here[names.STEP]}")
            break
    summary = dict(run.summary)
    changed = [key for key, value in entry.summary.items() if not _close(summary.get(key), value, 1e-9)]
    if changed:
        found.append(f"its summary has other values of {', '.join(changed[:5])}")
    if (run.group, run.job_type, set(run.tags)) != (entry.group, entry.kind, set(entry.tags)):
        found.append("its group, type or tags are others")
    if kept(dict(run.config)) != entry.config:
        found.append("its configuration is another")
    if entry.status == "done" and run.state != "finished":
        found.append(f"it is {run.state}, not finished")
    return found


def _same_row(there: dict[str, Any], here: dict[str, Any]) -> bool:
    if there.keys() != here.keys() or there[names.STEP] != here[names.STEP]:
        return False
    return all(_close(there[key], here[key], LAST_DIGITS) for key in here)


def _close(there: Any, here: Any, tolerance: float) -> bool:
    if isinstance(here, float) and isinstance(there, int | float):
        return math.isclose(there, here, rel_tol=tolerance, abs_tol=1e-6)
    return bool(there == here)


def table(sweep: str, tracker: Tracker) -> pd.DataFrame:
    """The tidy table of a published sweep, as `xstilts.results.table.table` gives it from the store.

    Raises what the client raises when there is no such project or run.
    """
    import pandas as pd

    from xstilts.tracking.entry import run_id

    session = api()
    run = session.run(f"{place(session, tracker)}/{run_id(f'results-{sweep}', tracker.salt)}")
    with tempfile.TemporaryDirectory() as folder:
        run.file(RESULTS).download(folder, replace=True)
        return pd.read_parquet(Path(folder) / RESULTS)
