"""What Slurm's clients say, asked again while the controller is busy.

Only `squeue` decides whether a job lives: it is the controller's own word. `sacct` tells how a job ended, and may be
missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from xstilts.errors import UserError
from xstilts.owner import user as myself

WAITS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between two tries of a client that met a busy controller
FRESH = 3.0  # seconds that an answer of squeue serves
LIVE = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
    *("RESIZING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED"),
}
_INHERITED = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SUBMITIT_", "PMI", "PMIX_")
_BUSY = re.compile(
    r"timed out|unable to contact|controller not responding|connection (refused|reset)|temporarily unable|try again"
    r"|zero bytes|not currently responding|resource temporarily|communication|slurmctld.*(busy|down)|system call",
    re.IGNORECASE,
)


class Refused(UserError):
    """A client of Slurm's refused what it was asked; the message is its own."""


class Unreachable(UserError):
    """The controller did not answer, whatever the patience."""


@dataclass(frozen=True)
class Job:
    """A job, or an element of an array, as `squeue` shows it."""

    id: str  # 12, or 12_3
    state: str
    reason: str
    name: str

    @property
    def live(self) -> bool:
        return self.state in LIVE


def present() -> bool:
    """Whether this machine can talk to a cluster at all."""
    return shutil.which("squeue") is not None and shutil.which("sbatch") is not None


def call(*command: str, patient: bool = True) -> str:
    """The standard output of a client. Raises `Refused` with its own words, `Unreachable` when it is never answered."""
    for wait in (*(WAITS if patient else ()), None):
        done = subprocess.run(command, capture_output=True, text=True, env=_scrubbed())
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.strip() or f"{command[0]} ended with status {done.returncode}"
        if not _BUSY.search(said):
            raise Refused(f"{command[0]}: {_short(said)}")
        if wait is not None:
            time.sleep(wait)
    raise Unreachable(f"{command[0]}: the controller does not answer ({_short(said)}); try again later")


def busy(said: str) -> bool:
    """Whether an error message of a client's means that trying again may help."""
    return _BUSY.search(said) is not None


def _short(said: str) -> str:
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line) for line in said.splitlines()]
    return "; ".join(dict.fromkeys(lines))


@contextmanager
def scrubbed() -> Iterator[None]:
    """No variable of a job we may be in ourselves, which a client would take for its options. SLURM_CONF stays."""
    hidden = {k: v for k, v in os.environ.items() if k not in _scrubbed()}
    for key in hidden:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _scrubbed() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_INHERITED) or k == "SLURM_CONF"}


@cache
def config() -> dict[str, str]:
    """The cluster's own configuration."""
    found = {}
    for line in call("scontrol", "show", "config").splitlines():
        key, separator, value = line.partition("=")
        if separator:
            found[key.strip()] = value.strip()
    return found


def cluster() -> str:
    return config()["ClusterName"]


_seen: dict[str, tuple[float, dict[str, Job]]] = {}


def jobs(user: str, fresh: bool = False, patient: bool = True) -> dict[str, Job]:
    """The jobs of a user by id, array elements one by one; those that ended a few minutes ago are among them."""
    then, found = _seen.get(user, (float("-inf"), {}))
    if fresh or time.monotonic() - then > FRESH:
        text = call("squeue", "-h", "-r", "-t", "all", "-u", user, "-o", "%i|%T|%r|%j", patient=patient)
        rows = (line.split("|", 3) for line in text.splitlines())
        found = {row[0]: Job(*row) for row in rows}
        _seen[user] = time.monotonic(), found
    return found


def named(name: str) -> list[str]:
    """The ids of my live jobs of a name, arrays whole."""
    text = call("squeue", "-h", "-u", myself(), f"--name={name}", "-o", "%F")
    return sorted(set(text.split()))


def endings(numbers: Iterable[str]) -> dict[str, str]:
    """How jobs ended by id, such as OUT_OF_MEMORY: by accounting, else by what the controller remembers."""
    wanted = sorted(set(numbers))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        try:
            listed = ",".join(wanted[start : start + 500])
            text = call("sacct", "-X", "-n", "-P", "-j", listed, "-o", "JobID,State", patient=False)
        except (UserError, FileNotFoundError):
            break  # no accounting here, or not now
        for line in text.splitlines():
            number, _, state = line.partition("|")
            found[number] = state.split()[0] if state else ""
    remembered = jobs(myself())
    return {n: found[n] if n in found else remembered[n].state for n in wanted if n in found or n in remembered}


def cancel(numbers: Sequence[str]) -> None:
    """End jobs; those that have ended are no mistake."""
    for start in range(0, len(numbers), 200):
        try:
            call("scancel", *numbers[start : start + 200])
        except Refused as refused:
            if "nvalid job id" not in str(refused):
                raise
    _seen.clear()
