"""Who holds a claim, and is it alive? Processes are known here; other launchers register how they answer for theirs."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

#: An owner on another host cannot be asked; it is taken for dead after this many seconds without a sign of life.
SILENCE = 600.0


@dataclass(frozen=True)
class Answers:
    """What a launcher says of the owners that it makes: whether one is alive, and its name for people."""

    alive: Callable[[dict[str, Any]], bool]
    describe: Callable[[dict[str, Any]], str]


_launchers: dict[str, Answers] = {}


def register(launcher: str, answers: Answers) -> None:
    """From now on `launcher` answers for owners that name it. Modules do so when they are imported."""
    _launchers[launcher] = answers


def process(pid: int | None = None) -> dict[str, Any]:
    """This process, or another one of this host, as the owner of a claim. The start time tells a reused pid apart."""
    found = psutil.Process(pid or os.getpid())
    return {
        "launcher": "workstation",
        "host": socket.gethostname(),
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
    """Whether the owner still works; `silence` is the seconds since its stage last gave a sign of life.

    One whose launcher has not been registered cannot be asked, and is believed to live.
    """
    if owner["launcher"] != "workstation":
        answers = _launchers.get(owner["launcher"])
        return answers is None or answers.alive(owner)
    if owner["host"] != socket.gethostname():
        return silence < SILENCE
    try:
        found = psutil.Process(owner["pid"])
        same = abs(found.create_time() - owner["started"]) < 1.0
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe(owner: dict[str, Any]) -> str:
    if owner["launcher"] != "workstation":
        answers = _launchers.get(owner["launcher"])
        return answers.describe(owner) if answers else f"{owner['user']}, by {owner['launcher']}"
    return f"{owner['user']} on {owner['host']} (process {owner['pid']})"
