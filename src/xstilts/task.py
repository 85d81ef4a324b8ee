"""A task: one data set as published, what its items are, and how it is scored. One YAML each in `conf/task/`.

Tasks differ in data and formats differ in code: adding a task of a known format is adding a YAML file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from xstilts.errors import UserError, choices

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class Task:
    """What is known of a data set.

    A *part* is one file of the library, named `language/split`, such as `en/train` or `sw/test`.
    """

    name: str
    format: str  # a room of xstilts.formats
    title: str = ""
    labels: list[str] = field(default_factory=list)  # in the order of the head's outputs
    languages: list[str] = field(default_factory=list)  # evaluated in, ISO 639-1 (or -3 where there is none)
    splits: list[str] = field(default_factory=list)  # evaluated: of dev, test
    train: str | None = None  # the part that is trained on
    selection: str | None = None  # the part that selects a checkpoint; never a test item
    shared: list[str] = field(default_factory=list)  # parts that every language needs, such as a candidate pool
    metric: str = ""  # the metric that selects and that tables show
    options: dict[str, Any] = field(default_factory=dict)  # what its format must know beside this; decides results
    source: dict[str, Any] = field(default_factory=dict)  # hub: ..., files: ..., how to get it
    counts: dict[str, int] = field(default_factory=dict)  # published number of items a part
    multilingual: dict[str, Any] = field(default_factory=dict)  # the training part elsewhere: languages, source, counts
    licence: str = ""
    citation: str = ""
    notes: str = ""

    @property
    def evaluated(self) -> list[str]:
        """The parts an evaluation reads: every language in every evaluated split, then the shared ones."""
        return [f"{language}/{split}" for language in self.languages for split in self.splits] + self.shared

    @property
    def parts(self) -> list[str]:
        """Every part the library holds of this task."""
        return list(dict.fromkeys([*filter(None, [self.train, self.selection]), *self.evaluated]))

    @property
    def base(self) -> str:
        """The task that this one is in another language: `mnli` of `mnli.de`; of all others their own name."""
        return self.name.partition(".")[0]

    def elsewhere(self, language: str) -> Task:
        """The training part in another language, by translation or as texts of its own: a task by itself, `mnli.de`.

        It may be one that nobody published, which its `source` then does not have.
        """
        part = f"{language}/train"
        published = language in self.multilingual.get("languages", ())
        return replace(
            self,
            name=f"{self.name}.{language}",
            languages=[],
            splits=[],
            train=part,
            selection=None,
            shared=[],
            source=self.multilingual["source"] if published else {},
            counts={key: n for key, n in self.multilingual.get("counts", {}).items() if key == part},
            licence=self.multilingual.get("licence", self.licence),
            citation=self.multilingual.get("citation", self.citation),
            notes=self.multilingual.get("notes", ""),
            multilingual={},
        )

    def identity(self) -> dict[str, Any]:
        """The part of a task that decides a result, apart from the data itself."""
        return {k: getattr(self, k) for k in ("name", "format", "labels", "metric", "options")}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        """Of a YAML file or a frozen stage; unknown keys are refused."""
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise UserError(f"task {values.get('name', '?')}: unknown key {key!r}; {choices(key, known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def names() -> list[str]:
    """Every task there is a YAML for."""
    return sorted(p.stem for p in (CONF / "task").glob("*.yaml"))


@cache
def load(name: str) -> Task:
    """The task of `conf/task/NAME.yaml`, or with `NAME.xx` its training part in another language."""
    name, _, language = name.partition(".")
    path = CONF / "task" / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"no task {name!r}; {choices(name, names())}")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    task = Task.from_dict({"name": name, **values})
    return task.elsewhere(language) if language else task
