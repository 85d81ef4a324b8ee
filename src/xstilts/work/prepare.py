"""The process that fills the library: `python -m xstilts.work.prepare REQUEST.json`.

For a launcher it is `-`, and the request the first line of standard input; when that ends, the launcher is gone, and so
is this process.

The request is what orchestration knows: `world` (a dict, its `kind` one of hub, files, toy), `tasks` (their names, or
their dicts as a world has them), `models` (dicts of `conf/model`) and `library` (a folder). Orchestration never does
this itself, since formats check what they are given and import torch.

Only what is missing or stale is filled, a part at a time: after a kill the same request does the rest. Several
processes fill one library one after the other, and the later ones find it filled. Progress goes to standard output, a
JSON object {done, total, text} a line; a mistake of the user's goes to standard error and exits with 2.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xstilts import task as tasks
from xstilts.data import files, hub, pretrained, stale, toy
from xstilts.data.library import Library
from xstilts.data.toy import models as toy_models
from xstilts.errors import UserError, reason, refusal
from xstilts.files import read_json
from xstilts.model.adapters import configure
from xstilts.task import Task

Request = Mapping[str, Any]
FILL_TASKS: dict[str, Callable[..., None]] = {"files": files.fill, "hub": hub.fill, "toy": toy.fill}


def run(request: Request) -> None:
    """Fill what the request asks for. Raises `UserError` naming what cannot be."""
    world, library = request["world"], Library(request["library"])
    wanted = [Task.from_dict(t) if isinstance(t, dict) else tasks.load(t) for t in request["tasks"]]
    steps: list[tuple[str, Callable[[], None]]] = [
        *((f"model {m['name']}", lambda m=m: _model(world, m, library)) for m in request["models"]),
        *((f"data of {t.name}", lambda t=t: _task(world, t, library)) for t in wanted),
    ]
    with _alone(library.root):
        for done, (text, step) in enumerate(steps):
            _say(done, len(steps), text)
            step()
    _say(len(steps), len(steps), "")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait until no other process fills this library. Where locks do not exist, both fill it, and no harm is done."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(0, 1, "another process is at it")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


def _task(world: Request, task: Task, library: Library) -> None:
    if stale.task(world, task, library):
        FILL_TASKS[world["kind"]](world, [task], library)


def _model(world: Request, model: Mapping[str, Any], library: Library) -> None:
    if not stale.model(world, model, library):
        return
    if world["kind"] == "toy":
        toy_models.model(model["name"], world, library)
    else:
        configure(model["architecture"], model["config"])  # every setting is one of the architecture's
        (pretrained.fill if world["kind"] == "files" else hub.fill_model)(world, model, library)


def _say(done: int, total: int, text: str) -> None:
    print(json.dumps({"done": done, "total": total, "text": text}), flush=True)


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 2 for a mistake of the user's or what the machine refuses."""
    if len(arguments) != 1:
        print("usage: python -m xstilts.work.prepare REQUEST.json", file=sys.stderr)
        return 2
    try:
        run(_from_launcher() if arguments[0] == "-" else read_json(Path(arguments[0])))
    except (UserError, OSError) as error:
        if not isinstance(error, UserError) and refusal(error) is None:
            raise
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2
    return 0


def _from_launcher() -> Request:
    """The first line of standard input; whatever happens to who wrote it ends this process too."""
    request = json.loads(sys.stdin.readline())

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)  # what is half written has a temporary name

    threading.Thread(target=watch, daemon=True).start()
    return request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
