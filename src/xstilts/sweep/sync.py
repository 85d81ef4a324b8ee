"""`do=push|pull remote=user@host:STORE`: what is done goes from one store to another, where no file system is shared.

Only finished stages travel, with the sweeps' records, over rsync. What the other side has done already stays as it is
there; what it has begun is left alone, since its attempts have numbers of their own. Markers go last, so a transfer
that breaks off leaves nothing that looks done, and the same command again sends only what is missing. Weights stay
behind unless they are asked for: a training is done without them too, and is repeated when somebody needs them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from xstilts.errors import UserError
from xstilts.sweep.describe import many

#: What is read of a store's stages to know how far each is.
_LOOK = ("/stages/", "/stages/*/", "/stages/*/done.json", "/stages/*/claims/", "/stages/*/claims/*.json")
#: Never of use elsewhere: the state of an attempt to be continued, claims, and half-written files.
_NEVER = ("resume/", "claims/", ".*")
_UNREACHED = {10, 12, 30, 35, 255}  # of rsync and ssh: no connection, or it broke


@dataclass
class Listing:
    """The stages of a store, as far as a transfer needs to know them."""

    done: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)


def transfer(source: str, target: str, weights: bool) -> list[str]:
    """Send what `source` has done and `target` has not. Returns what was done, a line each. Raises `UserError`."""
    there, here = look(target), look(source)
    wanted = sorted(here.done - there.done)
    left = [stage for stage in wanted if stage in there.begun]
    sent = [stage for stage in wanted if stage not in there.begun]
    without = () if weights else ("checkpoint/",)
    _rsync(source, target, [f"stages/{stage}" for stage in sent], (*without, *_NEVER, "/stages/*/done.json"))
    _rsync(source, target, [f"stages/{stage}/done.json" for stage in sent])
    _rsync(source, target, ["sweeps"], _NEVER, "--ignore-existing")
    bare = "" if weights else ", without weights (weights=true)"
    told = [f"{many(len(sent), 'stage')} from {source} to {target}{bare}"]
    told.append(f"{len(here.done & there.done)} were there already")
    if left:
        told.append(f"left {len(left)} that {target} has begun itself: {', '.join(left[:3])}")
    return told


def look(store: str) -> Listing:
    """What a store, here or elsewhere, has done and begun; nothing where there is none."""
    filters = [*(f"--include={pattern}" for pattern in _LOOK), "--exclude=*"]
    done = _run("-r", "--list-only", *filters, f"{store}/", missing=True)
    found = Listing()
    for line in done.splitlines():
        if match := re.search(r" stages/([^/\s]+)/(done\.json|claims/\d+\.json)$", line):
            (found.done if match[2] == "done.json" else found.begun).add(match[1])
    return found


def _rsync(source: str, target: str, names: Iterable[str], excluded: Iterable[str] = (), *options: str) -> None:
    """Send some files or folders of a store; their owner, group and mode are the target's to say."""
    listed = [*names]
    if not listed:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(listed) + "\n")
        file.flush()
        without = [f"--exclude={pattern}" for pattern in excluded]
        names_file = f"--files-from={file.name}"
        _run("-r", "-l", "-t", "--omit-dir-times", *options, *without, names_file, f"{source}/", f"{target}/")


def _run(*arguments: str, missing: bool = False) -> str:
    """rsync's output; empty when the store is missing and may be."""
    if shutil.which("rsync") is None:
        raise UserError("do=push and do=pull need rsync, here and on the other side")
    done = subprocess.run(["rsync", *arguments], capture_output=True, text=True)
    said = "; ".join(done.stderr.strip().splitlines()[:3])
    if done.returncode == 23 and missing and "No such file or directory" in said:
        return ""
    if done.returncode in _UNREACHED:
        raise UserError(f"remote=: not reached, or the connection broke; the same command goes on ({said})")
    if done.returncode:
        raise UserError(f"rsync ended with status {done.returncode}: {said}")
    return done.stdout


def place(remote: str | None) -> str:
    """Where the other store is, without a slash at its end. Raises `UserError`."""
    if not remote:
        raise UserError("do=push and do=pull need remote=user@host:STORE, or the folder of another store")
    if ":" not in remote and not Path(remote).parent.is_dir():
        raise UserError(f"remote={remote}: {Path(remote).parent} is no folder here; another machine is host:FOLDER")
    return remote.rstrip("/")
