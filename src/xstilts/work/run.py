"""The process that does stages: `python -m xstilts.work.run STAGE_FOLDER ...`, or `--serve` for a launcher.

It knows no cluster and no sweep: it claims a stage, does it from its frozen `stage.yaml`, and publishes. With `--serve`
it reads one JSON request a line from standard input and answers with JSON events, so that one import of torch and
transformers serves many stages; when its input ends, it saves its state and stops.
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
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from xstilts import owner
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Claim, Fenced, Folder, Stopped, Store, begin, publish
from xstilts.work.attempt import Attempt, Report


def do(request: dict[str, Any], report: Report, stop: threading.Event) -> str:
    """Do one stage. Returns done, reused, busy, stopped, failed or fenced; never raises for the stage's own failure.

    request: `stage` (its folder), `read` (further stores), `rerun` (make a new attempt although it is done), `sources`
    (role -> attempt folder, to start from another attempt than the published one).
    """
    folder = Folder(Path(request["stage"]))
    store = Store(folder.root.parents[1], [Path(p) for p in request.get("read", [])])
    stage = Stage.load(folder.spec)
    rerun = bool(request.get("rerun"))
    if folder.marker.exists() and not rerun and not folder.evicted:
        return "reused"
    claim = store.claim(stage, owner.process(), owner.alive)
    if claim is None:
        return "busy"
    try:
        # Between the look above and the claim, another process may have finished the stage.
        if folder.marker.exists() and not rerun and not folder.evicted:
            return "reused"
        return _execute(stage, folder, store, request, report, stop, claim)
    finally:
        claim.release()


def _execute(
    stage: Stage,
    folder: Folder,
    store: Store,
    request: dict[str, Any],
    report: Report,
    stop: threading.Event,
    claim: Claim,
) -> str:
    sources = {role: Path(p) for role, p in request.get("sources", {}).items()}
    for role, upstream in stage.upstream.items():
        published = store.folder(upstream).published
        if role in sources:
            continue
        if published is None:
            raise UserError(
                f"{stage.id} starts from {upstream}, which is not done: run the sweep, or that stage, first"
            )
        sources[role] = published
    attempt = Attempt(stage, begin(folder), folder, sources, report, stop)
    began = time.monotonic()
    status, error = "running", None
    attempt.write_record("running", claim=claim.path.stem, rerun=bool(request.get("rerun")))
    try:
        with _log(attempt.folder / "log.txt"), attempt.beating():
            try:
                import_module(f"xstilts.work.{stage.kind}").run(attempt)
                attempt.check()
                status = "done"
            except (Stopped, Fenced) as signal_:
                status = type(signal_).__name__.lower()
                print(f"{status}: {signal_}")
            except Exception as failure:
                status, error = "failed", _last_line(failure)
                print(f"error: {failure}" if isinstance(failure, UserError) else traceback.format_exc())
        attempt.write_record(status, error=error, seconds=round(time.monotonic() - began, 3), ended=time.time())
        if status == "done" and not request.get("rerun"):
            publish(folder, attempt.folder, replace=folder.evicted)
    except OSError as failure:  # the record itself could not be written: say it, keep what is there
        status, error = "failed", _last_line(failure)
    except Fenced:
        status = "fenced"
    report({"event": status, "attempt": str(attempt.folder), "error": error})
    return status


def _last_line(failure: BaseException) -> str:
    text = str(failure).strip() or type(failure).__name__
    return text if isinstance(failure, UserError) else f"{type(failure).__name__}: {text}"


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Send everything this process prints, libraries' C code included, to the attempt's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(target)


def serve(stop: threading.Event) -> int:
    """Requests from standard input, events to standard output, one JSON object a line."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints outside a stage must not garble the channel
    requests: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            requests.put(json.loads(line))
        stop.set()  # the launcher is gone, or wants us gone
        requests.put(None)

    threading.Thread(target=listen, daemon=True).start()

    def report(event: dict[str, Any]) -> None:
        try:
            channel.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            stop.set()

    while (request := requests.get()) is not None:
        if stop.is_set():
            break
        try:
            status = do(request, report, stop)
            report({"event": "end", "status": status})
        except (UserError, OSError) as failure:
            report({"event": "end", "status": "failed", "error": _last_line(failure)})
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m xstilts.work.run", description="Do stages from their frozen folders."
    )
    parser.add_argument("stages", nargs="*", help="stage folders, in the order they are done")
    parser.add_argument("--serve", action="store_true", help="take requests from standard input, for a launcher")
    options = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.serve:
        return serve(stop)
    worst = 0
    for path in options.stages:
        try:
            status = do({"stage": path}, lambda _: None, stop)
        except UserError as failure:
            print(failure, file=sys.stderr)
            return 2
        print(f"{Path(path).name}: {status}")
        worst = max(worst, {"done": 0, "reused": 0}.get(status, 1))
    return worst


if __name__ == "__main__":
    sys.exit(main())
