"""One run of W&B's, written with its own client: opened, brought up to date, closed.

The number of a row in the store is its W&B step. So the server's own count says which row comes next, whoever sent the
earlier ones: there is no cursor of ours to lose, and a row is never sent twice. What people read is `trainer/step`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.config import Tracker
from xstilts.errors import UserError, reason
from xstilts.tracking import names
from xstilts.tracking.entry import Entry, Row

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

OPEN = 30.0  # seconds until a server that does not answer counts as not there
CLOSE = 60.0  # seconds for the last rows


def library() -> Any:
    """The module `wandb`: imported by whoever mirrors, never by whoever trains or plans."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # our troubles are not W&B's to collect
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    return wandb


class Mirror:
    """An open run. Whatever the client raises comes out as it is: callers at a run's boundary catch it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.next = int(run.starting_step)  # the row that the server lacks
        self.seen = 0  # rows of the store so far

    def send(self, rows: Iterable[Row]) -> None:
        """Rows of the store in order, from its first one on; those that the server has are passed over."""
        for row in rows:
            if self.seen >= self.next:
                self.run.log(row, step=self.seen)
            self.seen += 1

    def close(self, summary: dict[str, Any], status: str) -> None:
        """Send what is left; raises `TimeoutError` when the server does not take it."""
        self.run.summary.update(summary)
        if status == "stopped":
            self.run.mark_preempting()  # it will be continued
        self.run.finish(exit_code=0 if status == "done" else 1)


@contextmanager
def opened(entry: Entry, tracker: Tracker, files: Path, pid: int | None = None) -> Iterator[Mirror]:
    """Start or continue the run of an entry; its rows and summary are not sent by this.

    files: where `tracker=offline` leaves its run files; online they are temporary, since the store has everything.
    pid: the process whose share of CPU, memory and GPU is measured while the run is open.
    """
    wandb = library()
    offline = tracker.mode == "offline"
    folder = files if offline else Path(tempfile.mkdtemp(prefix="xstilts-wandb-"))
    folder.mkdir(parents=True, exist_ok=True)
    if offline:
        for old in (folder / "wandb").glob(f"offline-run-*-{entry.id}"):  # of an earlier attempt, or publication
            shutil.rmtree(old)
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_machine_info=pid is None,  # it turns system metrics off as well
        x_save_requirements=False,
        x_disable_stats=pid is None,
        x_stats_pid=pid or os.getpid(),
        x_transaction_log_flush_interval=1.0,  # offline files of a killed process lack the last second
        init_timeout=OPEN,
        finish_timeout=CLOSE,
        finish_timeout_raises=True,
    )
    try:
        run = wandb.init(
            mode="offline" if offline else "online",
            project=tracker.project,
            entity=tracker.entity,
            id=entry.id,
            name=entry.name,
            group=entry.group,
            job_type=entry.kind,
            tags=entry.tags,
            config=entry.config,
            allow_val_change=True,
            resume="allow",
            reinit="create_new",
            dir=str(folder),
            settings=settings,
        )
        run.define_metric(names.STEP)
        run.define_metric("*", step_metric=names.STEP)
        yield Mirror(run)
    finally:
        if not offline:
            shutil.rmtree(folder, ignore_errors=True)


def trouble(error: Exception) -> str:
    """Why it did not work, in one line."""
    said = reason(error)
    if "API key" in said or "api_key" in said or "UsageError" in said:
        said = "no W&B key here (`wandb login`, or WANDB_API_KEY)"
    return f"W&B: {said}"


@contextmanager
def reached() -> Iterator[None]:
    """Inside, nothing is of use without the server: what the client raises, of whatever kind, is the user's to mend."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(trouble(error)) from None
