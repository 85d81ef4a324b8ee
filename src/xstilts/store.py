"""The store: one folder a stage id, and what has been done in it.

    STORE/stages/train-0123456789abcdef/
        stage.yaml       the frozen stage
        claims/K.json    who may work on it: the highest K, until K.released is there or its owner is dead
        attempts/N/      one execution each: record.json, log.txt, outputs; the highest N is the valid one
        done.json        the marker, created last and exclusively; names the attempt that counts
    STORE/sweeps/NAME.yaml

Numbers only ever grow and are taken by an exclusive create, so there is no delete to race with: taking over from a
dead owner is creating K+1, and an older execution that wakes up finds a newer one and stops (`Fenced`).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts import files
from xstilts.errors import DataError, UserError
from xstilts.stage import Stage

Owner = dict[str, Any]  # launcher, host, pid ...: what its launcher needs to say whether it is alive


class Stopped(Exception):
    """The stage was asked to stop, has saved its state, and will be resumed."""


class Fenced(Exception):
    """A newer attempt of the same stage exists: this one must not write any more."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a stage, until released."""

    path: Path
    owner: Owner

    def release(self) -> None:
        self.path.with_suffix(".released").touch()


@dataclass(frozen=True)
class Folder:
    """All paths of one stage; nothing else builds them."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "stage.yaml"

    @property
    def marker(self) -> Path:
        return self.root / "done.json"

    def attempts(self) -> list[Path]:
        """Oldest first."""
        return _numbered(self.root / "attempts")

    @property
    def published(self) -> Path | None:
        """The folder of the attempt that counts, once there is one."""
        try:
            return self.root / "attempts" / str(_read(self.marker, "attempt")["attempt"])
        except FileNotFoundError:
            return None

    @property
    def evicted(self) -> bool:
        """Done, and its weights deleted since to save disk: rebuilt when somebody needs them."""
        done = self.published
        return done is not None and self.root.name.startswith("train-") and not (done / "checkpoint").is_dir()

    def claims(self) -> list[Path]:
        """Oldest first."""
        return _numbered(self.root / "claims", ".json")

    def owner(self) -> Owner | None:
        """Who holds the newest claim, dead or alive; None when it was released or never taken."""
        return _holder(self.claims())

    def beat(self) -> float:
        """Seconds since the last sign of life: a claim, or news of the newest attempt; infinite when there is none."""
        signs = self.claims()[-1:]
        for attempt in self.attempts()[-1:]:
            signs += [attempt / "progress.json", attempt / "record.json"]
        return time.time() - max((p.stat().st_mtime for p in signs if p.exists()), default=float("-inf"))

    def record(self) -> dict[str, Any] | None:
        """The record of the published attempt, else of the newest one."""
        folder = self.published or next(reversed(self.attempts()), None)
        return _read(folder / "record.json", "status") if folder and (folder / "record.json").exists() else None

    def progress(self) -> dict[str, Any] | None:
        attempts = self.attempts()
        path = attempts[-1] / "progress.json" if attempts else None
        return _read(path, "done", "total") if path and path.exists() else None


def _holder(claims: list[Path]) -> Owner | None:
    if not claims or claims[-1].with_suffix(".released").exists():
        return None
    return _read(claims[-1], "launcher")


def _read(path: Path, *keys: str) -> dict[str, Any]:
    """One of the store's own JSON files, which has `keys`. Raises `DataError` naming the file."""
    try:
        value = files.read_json(path)
    except ValueError as error:
        raise DataError(path, f"is not JSON ({error}): it was damaged or edited; restore it, or delete it") from None
    if not isinstance(value, dict) or not all(key in value for key in keys):
        raise DataError(path, f"lacks {', '.join(keys)}: it was damaged or edited; restore it, or delete it")
    return value


def _numbered(parent: Path, suffix: str = "") -> list[Path]:
    """The children named by a number, in order."""
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return []
    numbers = sorted(
        int(n.removesuffix(suffix)) for n in names if n.endswith(suffix) and n.removesuffix(suffix).isdigit()
    )
    return [parent / f"{n}{suffix}" for n in numbers]


@dataclass(frozen=True)
class Store:
    """A directory of stages. `read` names further stores that may be read from and are never written."""

    root: Path
    read: list[Path] = field(default_factory=list)

    def folder(self, stage_id: str) -> Folder:
        """Of a stage: where it is done if it is done anywhere, with weights rather than without; else in this store."""
        own = Folder(self.root / "stages" / stage_id)
        if not self.read:
            return own
        done = [f for f in (own, *(Folder(s / "stages" / stage_id) for s in self.read)) if f.marker.exists()]
        return next((f for f in done if not f.evicted), done[0] if done else own)

    def stages(self) -> Iterator[Folder]:
        """Every stage of this store, done or not."""
        yield from (Folder(p) for p in sorted((self.root / "stages").glob("*-*")))

    def done(self, stage_id: str) -> bool:
        return self.folder(stage_id).marker.exists()

    def check_writable(self) -> None:
        """Refuse a store that cannot be written, before any work. A stage that needs the disk later may still fail."""
        for place in (self.root, self.root / "stages", self.root / "sweeps"):
            probe = place / f".probe-{os.getpid()}"
            try:
                place.mkdir(parents=True, exist_ok=True)
                files.write_bytes(probe, b"x" * 4096)
                probe.unlink()
            except OSError as error:
                raise UserError(
                    f"the store {self.root} cannot be written ({error.strerror}): {_way(place, error)}"
                ) from None

    def enter(self, stage: Stage) -> Folder:
        """The folder of `stage` to work in, made if need be, and never another's store.

        Refused if another specification lies under the same id.
        """
        folder = Folder(self.root / "stages" / stage.id)
        if folder.spec.exists():
            there = Stage.load(folder.spec)
            if there.decisive != stage.decisive:
                raise DataError(
                    folder.spec, "holds another specification under the same id: a hash collision; report it"
                )
        else:
            for name in ("attempts", "claims"):
                (folder.root / name).mkdir(parents=True, exist_ok=True)
            stage.save(folder.spec)
        return folder

    def claim(self, stage: Stage, owner: Owner, alive: Callable[[Owner, float], bool]) -> Claim | None:
        """Take the stage for `owner`; None while a living one has it. `alive(owner, seconds since a sign of life)`."""
        known = (self.root / "stages" / stage.id / "stage.yaml").exists()
        folder = self.enter(stage)
        claims = folder.claims()
        holder = _holder(claims)
        if holder is not None and alive(holder, folder.beat()):
            return None
        # One more than what was looked at, not than what is there now: who claimed meanwhile has taken this number.
        number = int(claims[-1].stem) + 1 if claims else 1
        path = folder.root / "claims" / f"{number}.json"
        taken = files.create_bytes(path, _json({**owner, "since": time.time()}))
        if not taken:
            return None
        if known and (folder.evicted or not folder.marker.exists()):
            stage.save(folder.spec)  # the numerics and places of who runs it
        return Claim(path, owner)


def held(folder: Folder, number: int) -> Claim | None:
    """The claim of that number, for whom it was taken in advance; None when released or taken over by another."""
    claims = folder.claims()
    holder = _holder(claims)
    return Claim(claims[-1], holder) if holder is not None and claims[-1].stem == str(number) else None


def begin(folder: Folder) -> Path:
    """A fresh attempt folder, which fences off every earlier one."""
    while True:
        attempts = folder.attempts()
        path = folder.root / "attempts" / str(int(attempts[-1].name) + 1 if attempts else 1)
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def publish(folder: Folder, attempt: Path, replace: bool = False) -> None:
    """Create the marker for `attempt`. Exactly one attempt of a stage ever gets there.

    `replace` is for weights that were evicted and have been rebuilt. Raises `Fenced` for anyone who comes second.
    """
    data = _json({"attempt": int(attempt.name), "published": time.time()})
    if replace:
        files.write_bytes(folder.marker, data)
    elif not files.create_bytes(folder.marker, data):
        raise Fenced(f"{folder.root.name} was published by another attempt than {attempt.name}")
    for one in folder.attempts():
        with suppress(OSError):  # another user's, or a file system's whim: it is published all the same
            forget_resume(one)


def forget_resume(attempt: Path) -> None:
    """Delete the state that an attempt left to be continued, which may be many times its weights."""
    for name in (".resume.old", "resume"):
        files.remove(attempt / name)
    for torn in attempt.glob(".resume.*.tmp"):
        files.remove(torn)


def _json(value: dict[str, Any]) -> bytes:
    import json

    return json.dumps(value, sort_keys=True).encode()


def _way(place: Path, error: OSError) -> str:
    """Out of a store that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space (do=clean), or choose another with store=PATH"
    if error.errno == errno.EROFS:
        belongs = "its file system is read-only"
    else:
        there = next(p for p in (place, *place.absolute().parents) if os.path.lexists(p))
        belongs = f"{there} belongs to {_owner_name(there)}"
    return f"{belongs}; write to a store of your own with store=PATH, and use what this one has with store.read=[...]"


def _owner_name(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "another user"
