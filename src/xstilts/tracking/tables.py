"""The run with the tables of a whole sweep: what heat maps and curves over scale are drawn from.

    transfer    a row a (target, model, inter, regime, recipe, group of languages): score and change, with their counts
    languages   a row a (model, inter, regime, recipe, language): the same over all targets, and how much was read of it
    costs       a row a stage that is done

`results.parquet`, a file of the run, is the tidy table itself. A run's history cannot be changed, so every state of the
results that is published is one row of it; the summary always has the newest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from xstilts import files
from xstilts.config import Tracker
from xstilts.results import table as results
from xstilts.results.summary import PAIR, primary, summary
from xstilts.store import Store
from xstilts.sweep.sweeps import Sweep
from xstilts.tracking import client, names, readback
from xstilts.tracking.entry import TAG, Entry, run_id
from xstilts.tracking.entry import entry as stage_entry

TRANSFER = [
    *("world", "target", "group", "metric", "split", "model", "parameters", "inter", "regime", "recipe", "languages"),
    *("score", "n", "of", "sd", "seeds", "change", "change_n", "same_task", "collapsed", "diverged"),
]
LANGUAGES = [
    *("world", "model", "parameters", "inter", "regime", "recipe", "language", "resource_gib"),
    *("score", "n", "change", "change_n"),
]
COSTS = [
    "stage",
    "kind",
    "label",
    "model",
    "parameters",
    "device_hours",
    "flop",
    "tokens_per_second",
    "peak_memory_gib",
]
COLUMNS = {"transfer": TRANSFER, "languages": LANGUAGES, "costs": COSTS}


@dataclass(frozen=True)
class Content:
    """What the run of a sweep holds."""

    results: pd.DataFrame
    tables: dict[str, pd.DataFrame]

    @property
    def digest(self) -> str:
        text = "".join(frame.to_csv(index=False) for frame in (self.results, *self.tables.values()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def content(store: Store, sweep: Sweep) -> Content:
    """Of a sweep as it stands."""
    frame = results.table(store, [sweep])
    transfer = summary(frame)[TRANSFER]
    return Content(frame, {"transfer": transfer, "languages": _languages(frame), "costs": _costs(store, sweep)})


def _languages(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over targets and seeds; a change is taken cell by cell before."""
    rows = primary(frame)
    none = rows.loc[rows["inter"] == "none", [*PAIR, "value"]]
    base = rows[PAIR].merge(none, on=PAIR, how="left", validate="many_to_one")["value"]
    rows["change"] = (rows["value"] - base).where(rows["inter"] != "none")
    grouped = rows.groupby(LANGUAGES[:8], sort=True)
    values = {"score": grouped["value"].mean(), "n": grouped["value"].count()}
    values |= {"change": grouped["change"].mean(), "change_n": grouped["change"].count()}
    return pd.DataFrame(values).reset_index()[LANGUAGES]


def _costs(store: Store, sweep: Sweep) -> pd.DataFrame:
    rows = []
    for name, about in sweep.stages.items():
        done = store.folder(name).published
        if done is not None:
            found = stage_entry(done, [], None).summary
            row = {key: found.get(f"cost/{key}") for key in COSTS[5:]}
            rows.append({"stage": name, **{key: about[key] for key in COSTS[1:5]}, **row})
    return pd.DataFrame(rows, columns=COSTS)


def entry(store: Store, sweep: Sweep, salt: str | None) -> tuple[Entry, Content]:
    """The run of a sweep's tables, without its rows, and what it holds."""
    made = content(store, sweep)
    cells = len(sweep.cells)
    summary = {
        "results/digest": made.digest,
        "results/cells": cells,
        "results/unfinished": results.unfinished(made.results),
        "results/rows": len(made.results),
    }
    config = {"sweep": sweep.name, "created": sweep.created, "command": sweep.command, "user": sweep.user}
    tags = [f"sweep:{sweep.name}"[:TAG]]
    title = f"results of {sweep.name}"
    id_ = run_id(f"results-{sweep.name}", salt)
    summary = {names.summary(key): value for key, value in summary.items()}
    return Entry(id_, title, "results", sweep.name, tags, config, [], summary, "done"), made


def level(one: Entry, made: Content, there: Any, tracker: Tracker, folder: Path) -> str:
    """`level` or `sent`; raises `Differs` when what comes back is not what was sent."""
    if there is not None and not _differences(there, one):
        return "level"
    wandb = client.library()
    with client.opened(one, tracker, folder) as mirror:
        # The client copies a file once it gets to it: this one lives as long as the run is open.
        place = Path(mirror.run.settings.sync_dir) / "files" / readback.RESULTS
        buffer = BytesIO()
        made.results.to_parquet(buffer, index=False)
        files.write_bytes(place, buffer.getvalue())
        mirror.run.save(str(place), base_path=str(place.parent), policy="now")
        frames = {key: _plain(frame) for key, frame in made.tables.items()}
        mirror.run.log({key: wandb.Table(dataframe=frame) for key, frame in frames.items()})
        mirror.close(one.summary, one.status)
    if tracker.mode == "online":
        session = readback.api()
        found = _differences(session.run(f"{readback.place(session, tracker)}/{one.id}"), one)
        if not found and not readback.table(one.config["sweep"], tracker).equals(made.results):
            found = ["its table is another"]
        if found:
            raise readback.Differs(f"{one.id}: {'; '.join(found)}")
    return "sent"


def _differences(run: Any, one: Entry) -> list[str]:
    have = dict(run.summary)
    found = [key for key, value in one.summary.items() if have.get(key) != value]
    return found + [name for name in COLUMNS if name not in have] + ([] if run.state == "finished" else [run.state])


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns as the client's tables take them: text, numbers, and None for what is missing."""
    return frame.astype(object).where(frame.notna(), None)
