"""Ctrl-C, a kill, and a terminal that goes away: three ways to say stop, and one way to hear it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "asked to stop", signal.SIGHUP: "the terminal is gone"}


@contextmanager
def heard(tell: Callable[[str], object]) -> Iterator[None]:
    """Inside, `tell(what it was)` is called in place of what the signals do. What is ignored, as by nohup, stays so."""
    before = {number: signal.getsignal(number) for number in NAMES}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda got, _: tell(NAMES[signal.Signals(got)]))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(_: str) -> NoReturn:
    """For `heard` where there is nothing to save: every way to say stop is Ctrl-C."""
    raise KeyboardInterrupt
