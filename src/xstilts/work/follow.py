"""What the other ranks of a stage do: the same work as the first one, without claim, record or files of their own."""

from __future__ import annotations

import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from xstilts.model.parallel import Ended, Group, Lost
from xstilts.stage import Stage
from xstilts.store import Folder, Stopped
from xstilts.work.attempt import Attempt


def follow(stop: threading.Event, group: Group) -> str:
    """Take part in the next stage that the first rank begins; how it ended there, as `xstilts.work.run.do` says it.

    Raises this rank's own failure, after leaving word of it, and `Lost` when the others do not answer any more.
    """
    try:
        told = group.tell()
        home = Folder(Path(told["stage"]))
        stage = replace(Stage.load(home.spec), **told["now"])
        sources = {role: Path(path) for role, path in told["sources"].items()}
        attempt = Attempt(stage, Path(told["attempt"]), home, sources, lambda event: None, stop, group=group)
        try:
            import_module(f"xstilts.work.{stage.kind}").run(attempt)
        except Stopped as why:
            print(f"stopped: {why}", flush=True)
        group.tell()  # the first rank still has to write; whoever left before might take it along
        raise AssertionError("the first rank goes on after the end")
    except Ended as end:
        return end.status
    except Lost:
        raise
    except Exception as failure:
        group.fail(failure)
        raise
