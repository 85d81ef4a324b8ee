"""Who holds a claim, and is it alive? Each launcher has its own kind of owner and answers for it."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

import psutil

#: An owner on another host cannot be asked; it is taken for dead after this many seconds without a sign of life.
SILENCE = 600.0


def process(pid: int | None = None) -> dict[str, Any]:
    """This process, or another one of this host, as the owner of a claim. The start time tells a reused pid apart."""
    found = psutil.Process(pid or os.getpid())
    return {
        "launcher": "workstation",
        "host": socket.gethostname(),
        "boot": int(psutil.boot_time()),
        "pid": found.pid,
        "started": round(found.create_time(), 1),
        "user": user(),
    }


def user() -> str:
    """Who runs this; the bare number where a container gives it no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def alive(owner: dict[str, Any], silence: float) -> bool:
    """Whether the owner still works; `silence` is the seconds since its stage last gave a sign of life."""
    if owner["launcher"] == "slurm":
        from xstilts.sweep.slurm import owners

        return owners.alive(owner)
    if owner["host"] != socket.gethostname():
        return silence < SILENCE
    try:
        found = psutil.Process(owner["pid"])
        same = abs(found.create_time() - owner["started"]) < 1.0
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe(owner: dict[str, Any]) -> str:
    if owner["launcher"] == "slurm":
        return f"job {owner['job'] or '(being submitted)'} of {owner['user']} on the cluster {owner['cluster']}"
    return f"{owner['user']} on {owner['host']} (process {owner['pid']})"
