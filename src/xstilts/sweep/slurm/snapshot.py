"""The code as it is at submission, for jobs that start days later: STORE/slurm/code/HASH/{src,conf}."""

from __future__ import annotations

import hashlib
from pathlib import Path

from xstilts import files

ROOT = Path(__file__).resolve().parents[4]  # of the checkout, or of the snapshot we are running from
PARTS = ("src", "conf")


def take(store: Path) -> Path:
    """The folder of the snapshot, made if the store has no equal one."""
    content = {name: (ROOT / name).read_bytes() for name in _names()}
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    place = store / "slurm" / "code" / digest.hexdigest()[:12]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with files.folder(place) as fresh:
                for name, data in content.items():
                    (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                    (fresh / name).write_bytes(data)
        except OSError:
            if not place.is_dir():  # somebody else took the same one at this moment
                raise
    return place


def _names() -> list[str]:
    """Files of the code relative to its root, in order; what Python and editors leave behind is none of it."""
    found = []
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*")):
            name = path.relative_to(ROOT)
            hidden = any(p.startswith(".") or p == "__pycache__" or p.endswith(".egg-info") for p in name.parts)
            if path.is_file() and not hidden and path.suffix != ".pyc":
                found.append(name.as_posix())
    return found
