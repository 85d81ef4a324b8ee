"""A stage: one unit of work, its canonical form, and its id.

The id is a hash of everything that decides the result and nothing else: kind, version, the resolved specification with
the identity of its inputs, and the ids of the stages it starts from. What is for people (`about`), where things lie
(`place`) and how they are computed (`numerics`) stays outside.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from xstilts import files
from xstilts.errors import DataError

#: Raise a number when the same specification gives another result than before: old stages are then not reused.
VERSIONS = {"train": 1, "evaluate": 1}


def canonical(value: Any, where: str = "spec") -> Any:
    """`value` with dictionaries sorted and floats in one form. Raises `TypeError` on what has no canonical form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value} has no canonical form")
        return value + 0.0  # -0.0 becomes 0.0
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is no string")
        return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise TypeError(f"{where}: {type(value).__name__} has no canonical form")


def digest(value: Any) -> str:
    """64 hex digits of the canonical form."""
    text = json.dumps(canonical(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Stage:
    """What a process needs to do one stage, as frozen in `stage.yaml`."""

    kind: str  # train or evaluate
    spec: dict[str, Any]  # hashed
    upstream: dict[str, str] = field(default_factory=dict)  # role -> stage id; hashed
    about: dict[str, Any] = field(default_factory=dict)  # names for people
    place: dict[str, Any] = field(default_factory=dict)  # where the library and the model lie
    numerics: dict[str, Any] = field(default_factory=dict)  # device, threads, micro-batches: recorded, not hashed
    version: int = 0
    #: Of entries of the specification, where somebody has them already: planning makes thousands of stages from few.
    digests: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", VERSIONS[self.kind])

    @property
    def decisive(self) -> dict[str, Any]:
        """What the id is made of."""
        return {"kind": self.kind, "version": self.version, "spec": self.spec, "upstream": self.upstream}

    @cached_property
    def id(self) -> str:
        """`kind-0123456789abcdef`, also the name of the stage's folder: a hash of hashes of the entries."""
        spec = {key: self.digests.get(key) or digest(value) for key, value in self.spec.items()}
        return f"{self.kind}-{digest({**self.decisive, 'spec': spec})[:16]}"

    @property
    def label(self) -> str:
        return str(self.about.get("label", self.id))

    def save(self, path: Path) -> None:
        """Freeze into a YAML file that a person can read."""
        values = {"id": self.id, **asdict(self)}
        del values["digests"]
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, and a sweep has a thousand stages
        data = yaml.dump(values, Dumper=dumper, sort_keys=False, width=120).encode()
        if not path.exists() or path.read_bytes() != data:
            files.write_bytes(path, data)

    @classmethod
    def load(cls, path: Path) -> Stage:
        """Of a `stage.yaml`; refused when its content no longer gives its id."""
        try:
            values = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            named = values.pop("id")
            stage = cls(**values, digests={})
            found = stage.id
        except (yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
            what = " ".join(str(error).split())
            raise DataError(path, f"not a frozen stage ({type(error).__name__}: {what}); restore it") from None
        if found != named:
            raise DataError(path, f"was edited: it is named {named} and its content gives {found}; restore it")
        return stage
