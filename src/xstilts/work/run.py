"""The process that does stages: `python -m xstilts.work.run STAGE_FOLDER ...`, or `--serve` for a launcher.

It knows no cluster and no sweep: it claims a stage, does it from its frozen `stage.yaml`, and publishes. With `--serve`
it reads one JSON request a line from standard input and answers with JSON events, so that one import of torch and
transformers serves many stages; when its input ends, it saves its state and stops. Started by torchrun, its processes
train together: the first one does what is said here, the others follow.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from xstilts import files, owner
from xstilts.errors import UserError, reason
from xstilts.model.parallel import ALONE, Group, Place, joined
from xstilts.stage import Stage
from xstilts.store import Fenced, Folder, Stopped, Store, begin, forget_resume, held, publish
from xstilts.tracking.live import LIVE
from xstilts.work.attempt import Attempt, Report
from xstilts.work.follow import follow

Request = dict[str, Any]


def do(request: Request, report: Report, stop: threading.Event, group: Group = ALONE) -> str:
    """Do one stage. Returns done, reused, busy, stopped, failed or fenced; never raises for the stage's own failure.

    request: `stage` (its folder), `read` (further stores), `place` and `numerics` (of now, for the frozen ones),
    `rerun` (make a new attempt although it is done), `sources` (role -> attempt folder, to start from another attempt
    than the published one), `claim` (the number of one taken in advance, which the giver releases). The last event
    reported is `end` with status, error, attempt and seconds. Of a group, the first rank calls this, while the others
    `follow`.
    """
    end: dict[str, Any] = {"event": "end", "status": "failed", "error": None, "attempt": None, "seconds": None}
    try:
        end |= _do(request, report, stop, group)
    except (UserError, OSError) as failure:  # before there was an attempt, or when it could not even be recorded
        end["error"] = reason(failure)
    group.end(end["status"])
    report(end)
    return str(end["status"])


def _do(request: Request, report: Report, stop: threading.Event, group: Group) -> dict[str, Any]:
    folder = Folder(Path(request["stage"]))
    store = Store(folder.root.parents[1], [Path(p) for p in request.get("read", [])])
    files.follow_group(store.root)
    stage = Stage.load(folder.spec)
    stage = replace(stage, **_now(request))
    if stage.kind != "train" and group.size > 1:
        raise UserError(f"{stage.label}: {group.size} processes train together, and only train: it is no training")

    def over() -> bool:
        return folder.marker.exists() and not request.get("rerun") and not folder.evicted

    if over():
        return {"status": "reused"}
    given = request.get("claim")
    claim = store.claim(stage, owner.process(), owner.alive) if given is None else held(folder, given)
    if claim is None:
        return {"status": "busy"}
    try:
        # Between the look above and the claim, another process may have finished the stage.
        return {"status": "reused"} if over() else _attempt(stage, folder, store, request, report, stop, group)
    finally:
        if given is None:
            claim.release()


def _now(request: Request) -> dict[str, Any]:
    """What replaces frozen values of a stage."""
    return {key: request[key] for key in ("place", "numerics") if key in request}


def _attempt(
    stage: Stage,
    folder: Folder,
    store: Store,
    request: Request,
    report: Report,
    stop: threading.Event,
    group: Group,
) -> dict[str, Any]:
    """Execute a claimed stage, and publish it unless it is a rerun."""
    sources = _sources(stage, store, request)
    attempt = Attempt(stage, begin(folder), folder, sources, report, stop, bool(request.get("rerun")), group)
    paths = {role: str(path) for role, path in sources.items()}
    group.tell({"stage": str(folder.root), "attempt": str(attempt.folder), "sources": paths, "now": _now(request)})
    began = time.monotonic()
    attempt.write_record("running")
    if (tracker := stage.place.get("tracker")) and not attempt.rerun:
        LIVE.follow(tracker, attempt.folder)
    with _log(attempt.folder / "log.txt"), attempt.beating():
        status, error = _execute(attempt)
    seconds = round(time.monotonic() - began, 3)
    try:
        attempt.write_record(status, error=error, seconds=seconds, ended=time.time())
        if status == "done" and attempt.rerun:
            forget_resume(attempt.folder)
        elif status == "done":
            publish(folder, attempt.folder, replace=folder.evicted)
    except Fenced:
        status = "fenced"
    except OSError as failure:
        status, error = "failed", error or reason(failure)
    return {"status": status, "error": error, "attempt": str(attempt.folder), "seconds": seconds}


def _sources(stage: Stage, store: Store, request: Request) -> dict[str, Path]:
    """The attempt folder of every stage this one starts from."""
    sources = {role: Path(path) for role, path in request.get("sources", {}).items()}
    for role, upstream in stage.upstream.items():
        home = store.folder(upstream)
        if role in sources:
            continue
        if home.published is None or home.evicted:
            lacks = "its weights were deleted to save disk (keep=)" if home.evicted else "it is not done"
            raise UserError(f"starts from {upstream}, and {lacks}: run the sweep, or that stage, first")
        sources[role] = home.published
    return sources


def _execute(attempt: Attempt) -> tuple[str, str | None]:
    """The status and, of a failure, one line why; what a person may want to know beyond goes to the log."""
    try:
        import_module(f"xstilts.work.{attempt.stage.kind}").run(attempt)
        attempt.check()
        return "done", None
    except (Stopped, Fenced) as why:
        status = type(why).__name__.lower()
        print(f"{status}: {why}")
        return status, None
    except Exception as failure:
        print(f"error: {failure}" if isinstance(failure, UserError) else traceback.format_exc())
        return "failed", reason(failure)


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Send everything this process prints, libraries' C code and children included, to the attempt's own log."""
    saved = os.dup(1), os.dup(2)
    file = path.open("a", encoding="utf-8", buffering=1)
    try:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        with redirect_stdout(file), redirect_stderr(file):
            yield
    finally:
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        with suppress(OSError):  # a full disk must not hide what failed because of it
            file.close()


def serve(stop: threading.Event) -> int:
    """Requests from standard input, events to standard output, one JSON object a line."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints outside a stage must not garble the channel
    requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()

    def leave(*_: object) -> None:
        stop.set()
        requests.put(None)

    def listen() -> None:
        for line in sys.stdin:
            requests.put(json.loads(line))
        leave()  # the launcher is gone, or wants us gone

    def report(event: dict[str, Any]) -> None:
        try:
            channel.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            leave()

    LIVE.say = lambda text: report({"event": "said", "text": text})
    _on_signal(leave)
    threading.Thread(target=listen, daemon=True).start()
    while (request := requests.get()) is not None:
        if stop.is_set():
            report({"event": "end", "status": "stopped", "error": None, "attempt": None, "seconds": None})
        else:
            do(request, report, stop)
    return 0


def _on_signal(leave: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m xstilts.work.run", description="Do stages from their frozen folders."
    )
    parser.add_argument("stages", nargs="*", help="stage folders, in the order they are done")
    parser.add_argument("--serve", action="store_true", help="take requests from standard input, for a launcher")
    parser.add_argument("--owners", action="append", default=[], help="a module that registers a launcher's owners")
    options = parser.parse_args(argv)
    for name in options.owners:
        import_module(name)
    stop = threading.Event()
    if options.serve:
        return serve(stop)
    _on_signal(lambda *_: stop.set())
    with joined(Place.torchrun(os.environ)) as group:
        worst = _each(options.stages, stop, group)
        if worst == 1 and group.size > 1:
            sys.exit(worst)  # from here: nobody waits for ranks that may be gone
    return worst


def _each(stages: list[str], stop: threading.Event, group: Group) -> int:
    """Do some stages one after the other; the exit status."""
    worst = 0
    for path in stages:
        events: list[dict[str, Any]] = [{"error": None}]
        status = do({"stage": path}, events.append, stop, group) if group.first else follow(stop, group)
        error = events[-1]["error"]
        print(f"{Path(path).name}: {status}{f': {error}' if error else ''}", flush=True)
        worst = max(worst, 0 if status in ("done", "reused") else 1)
        if stop.is_set() or status == "stopped":
            return 130
        if worst and group.size > 1:
            break  # ranks may be gone
    return worst


if __name__ == "__main__":
    sys.exit(main())
