"""Features that are made once and kept: flat arrays in the library, mapped into memory by every stage that reads them.

    LIB/features/<digest>/tokens.npy starts.npy units.npy item.npy field-<name>.npy about.json

The digest is of everything that decides them: the content of the parts, the task, the tokenizer, the limits, and the
code and libraries that cut texts. So nothing has to be invalidated, and the folder may be deleted while nothing runs. A
folder appears whole or not at all; two stages that need the same at once both make it, and the first to end wins.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from xstilts import files
from xstilts.data.batches import Features
from xstilts.stage import digest

ARRAYS = ("tokens", "starts", "units", "item")
_ROOT = Path(__file__).resolve().parents[1]


def features(library: Path, identity: Mapping[str, Any], make: Callable[[], Features]) -> Features:
    """What `make` gives, from the library where it was made before, and kept there otherwise.

    `identity` says what the features are of, in values that JSON knows. A library that cannot be written to keeps
    nothing, which is printed.
    """
    place = library / "features" / digest({"of": dict(identity), "code": _code()})[:32]
    found = _load(place)
    if found is not None:
        return found
    made = make()
    try:
        _save(place, made)
    except OSError as error:
        print(f"features are not kept ({error}); the next stage that needs them makes them again")
        return made
    return _load(place) or made


@cache
def _code() -> str:
    """Of the formats, of what they are made with, and of the libraries that cut texts into sub-words."""
    paths = [*sorted((_ROOT / "formats").glob("*.py")), _ROOT / "data" / "batches.py", Path(__file__)]
    known = [sha256(path.read_bytes()).hexdigest() for path in paths]
    known += [version(name) for name in ("tokenizers", "transformers", "numpy")]
    return sha256("\n".join(known).encode()).hexdigest()


def _load(place: Path) -> Features | None:
    """None where there is nothing, or nothing whole."""
    try:
        about = files.read_json(place / "about.json")
        arrays = {name: _mapped(place / f"{name}.npy") for name in ARRAYS}
        fields = {name: (align, _mapped(place / f"field-{name}.npy")) for name, align in about["fields"].items()}
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return Features(**arrays, fields=fields, cut=about["cut"])


def _mapped(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.view(np.ndarray)


def _save(place: Path, made: Features) -> None:
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        arrays = {name: getattr(made, name) for name in ARRAYS}
        arrays |= {f"field-{name}": values for name, (_, values) in made.fields.items()}
        for name, values in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        about = {"fields": {name: align for name, (align, _) in made.fields.items()}, "cut": int(made.cut)}
        files.write_json(temporary / "about.json", about)
        if place.exists() and _load(place) is None:  # left by a full disk or a damaged one
            files.remove(place)
        os.rename(temporary, place)
    except OSError:
        if not place.is_dir():  # nobody was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
