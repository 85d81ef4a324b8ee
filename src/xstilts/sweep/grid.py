"""What the user typed becomes cells, composing each choice once.

Hydra composes a configuration in about 30 ms, which for every cell of a sweep would take minutes. No group of `conf/`
interpolates another one and each fills only its own package, so a cell's configuration is its choices' own parts side
by side: compose each choice of each group once, then combine. A property test holds this against Hydra's composition
of whole cells.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from xstilts.config import GROUPS, typed
from xstilts.errors import UserError, choices
from xstilts.sweep.check import as_text
from xstilts.sweep.compose import compose
from xstilts.task import CONF


@dataclass(frozen=True, eq=False)
class Choice:
    """One choice of one group with the values set under it, composed."""

    group: str
    name: str
    values: tuple[str, ...]  # `key=value` below the group, as typed
    raw: Any  # plain containers

    @property
    def label(self) -> str:
        """The name, and what was changed of it."""
        return self.without(())

    def without(self, keys: Container[str]) -> str:
        """The label without what was changed of these keys."""
        changed = [v.removeprefix(f"++{self.group}.") for v in self.values]
        told = ",".join(v for v in changed if v.split("=")[0] not in keys)
        return f"{self.name}[{told}]" if told else self.name

    @cached_property
    def object(self) -> Any:
        """The typed object of `xstilts.config`."""
        return typed(self.group, self.raw, self.label)


@dataclass(frozen=True)
class Point:
    """The choices of one cell, its seed, and the overrides by which Hydra alone would compose it."""

    choices: dict[str, Choice]
    seed: int
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    key: str
    values: tuple[str, ...]

    @property
    def group(self) -> str | None:
        """The group this axis changes; None for a top-level value."""
        head = self.key.split(".")[0]
        return head if head in GROUPS else None

    @property
    def chooses(self) -> bool:
        return self.key in GROUPS


class Grid:
    """The axes of a sweep, over one composition of everything that is not swept."""

    def __init__(self, arguments: Sequence[str], params: dict[str, Any], loader: ConfigLoader, config: str) -> None:
        self.loader, self.config = loader, config
        self.constants, self.axes = _axes(arguments, params, loader)
        self._added: dict[tuple[str, str], Choice] = {}

    @cached_property
    def base(self) -> DictConfig:
        """The composition with the first value of every axis."""
        return self.compose([_assign(axis.key, axis.values[0]) for axis in self.axes])

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        return compose(self.loader, [*self.constants, *overrides], self.config)

    def points(self) -> list[Point]:
        """Every cell the user asked for, each once, in the order of the groups."""
        chosen = product(*(self._choices(group) for group in GROUPS))
        texts = next((axis.values for axis in self.axes if axis.key == "seed"), (str(self.base.seed),))
        seeds = tuple(dict.fromkeys(_seed(text) for text in texts))
        return [self.point({c.group: c for c in row}, seed) for row, seed in product(chosen, seeds)]

    def point(self, choices: dict[str, Choice], seed: int) -> Point:
        """A cell of these choices, whether it was asked for or not."""
        fixed = (c for c in self.constants if _head(c) not in GROUPS)
        named = (f"{group}={choice.name}" for group, choice in choices.items())
        below = (value for choice in choices.values() for value in choice.values)
        return Point(choices, seed, (*fixed, *named, *below, f"seed={seed}"))

    def choice(self, group: str, name: str) -> Choice:
        """A choice that was not asked for, such as the baseline: what is set below the group is set of others."""
        if (group, name) not in self._added:
            self._added[group, name] = self._compose_choice(group, name, (), asked=False)
        return self._added[group, name]

    def _choices(self, group: str) -> list[Choice]:
        """All choices of a group times all values swept below it, suites replaced by their members."""
        axis = next((a for a in self.axes if a.key == group), None)
        below = [a for a in self.axes if a.group == group and not a.chooses]
        names = axis.values if axis else (_chosen(self.base, group),)
        combinations = list(product(*([_assign(a.key, v) for v in a.values] for a in below)))
        found: dict[str, Choice] = {}
        for name in names:
            for values in combinations:
                for choice in self._members(group, name, values):
                    found.setdefault(choice.label, choice)
        return list(found.values())

    def _members(self, group: str, name: str, values: tuple[str, ...]) -> list[Choice]:
        choice = self._compose_choice(group, name, values)
        if "suite" not in choice.raw:
            return [choice]
        valid = self.loader.get_group_options(group, ObjectType.CONFIG)
        for member in choice.raw["suite"]:
            if member not in valid:
                raise UserError(f"{group}={name}: its suite names {member!r}; {choices(str(member), valid)}")
        return [m for member in choice.raw["suite"] for m in self._members(group, member, values)]

    def _compose_choice(self, group: str, name: str, values: tuple[str, ...], asked: bool = True) -> Choice:
        kept = tuple(c for c in self.constants if asked and _head(c) == group)
        plain = _plain(CONF / group / f"{name}.yaml")
        if plain is None or self._experiment is None:
            # Any other axis may stand at any of its values here: they do not reach into this group.
            others = [_assign(a.key, a.values[0]) for a in self.axes if a.group != group]
            others += [c for c in self.constants if _head(c) != group]
            config = compose(self.loader, [*others, f"{group}={name}", *kept, *values], self.config)
        else:
            config = OmegaConf.create({group: plain})
            config.merge_with({group: self._experiment.get(group, {})})
            for override in _parse([*kept, *values], self.loader):
                OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
            if group == "model":
                _check_settings(name, plain, config)
        raw = OmegaConf.to_container(config[group], resolve=True)
        return Choice(group, name, (*kept, *values), raw)

    @cached_property
    def _experiment(self) -> dict[str, Any] | None:
        """What the experiment's file sets beside choices; None when it takes more than one file to say."""
        name = _chosen(self.base, "experiment")
        return {} if name == "None" else _plain(CONF / "experiment" / f"{name}.yaml", overriding=True)


@cache
def _plain(path: Path, overriding: bool = False) -> dict[str, Any] | None:
    """A file that Hydra would place as it stands; None when it has defaults, interpolations or lies elsewhere.

    With `overriding`, of a file of the global package: defaults that only override choices are left out, since the
    base composition has them.
    """
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[assignment]
    if overriding:
        defaults = content.pop("defaults", [])
        simple = all(isinstance(d, dict) and all(k.startswith("override ") for k in d) for d in defaults)
        return content if simple and "${" not in text and text.startswith("# @package _global_") else None
    return None if "defaults" in content or "${" in text or "@package" in text else content


def _axes(arguments: Sequence[str], params: dict[str, Any], loader: ConfigLoader) -> tuple[list[str], list[Axis]]:
    """Typed overrides and an experiment's params -> constants as strings, and axes. What is typed wins."""
    typed_keys = {o.key_or_group for o in _parse(arguments, loader)}
    defaults = [f"{key}={as_text(key, value)}" for key, value in params.items() if key not in typed_keys]
    constants: list[str] = []
    axes: list[Axis] = []
    for override in [*_parse(defaults, loader), *_parse(arguments, loader)]:
        key = override.key_or_group
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise UserError(f"{override.input_line}: a sweep needs a list of values, as {key}=a,b")
            values = tuple(dict.fromkeys(override.sweep_string_iterator()))
        elif key in (*GROUPS, "seed"):
            value = override.value()
            members = value if isinstance(value, list) else [override.get_value_element_as_str()]
            values = tuple(dict.fromkeys(str(v) for v in members))
        else:
            constants.append(_assign(key, override.get_value_element_as_str()))
            continue
        if key not in (*GROUPS, "seed") and key.split(".")[0] not in GROUPS:
            raise UserError(
                f"{key} takes one value, not a list: {', '.join((*GROUPS, 'seed'))} and keys below can be swept"
            )
        axes = [*(a for a in axes if a.key != key), Axis(key, values)]
    return constants, axes


def _assign(key: str, value: str) -> str:
    """An override; `++` because a file need not mention every key of the schema."""
    return f"++{key}={value}" if key.split(".")[0] in GROUPS and "." in key else f"{key}={value}"


def _head(override: str) -> str:
    return override.removeprefix("++").split("=")[0].split(".")[0]


def _parse(lines: Sequence[str], loader: ConfigLoader) -> list[Override]:
    return OverridesParser.create(config_loader=loader).parse_overrides(list(lines))


def _check_settings(name: str, plain: dict[str, Any], config: DictConfig) -> None:
    """A key of `model.config` can only be changed: an architecture's other keys are known to those who load it."""
    known = plain.get("config", {})
    for key, value in config.model.get("config", {}).items():
        if key not in known:
            raise UserError(f"model={name}: unknown key 'model.config.{key}'; {choices(str(key), known)}")
        number = isinstance(known[key], int | float) and not isinstance(known[key], bool)
        if number and (isinstance(value, bool) or not isinstance(value, type(known[key]) | int)):
            raise UserError(f"model={name}: model.config.{key}={value}: a number is needed, such as {known[key]}")


def _chosen(config: DictConfig, group: str) -> str:
    """The choice of a group in a composition, as Hydra records it."""
    return str(config.hydra.runtime.choices[group])


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise UserError(f"seed={text}: a seed is a whole number from 0, such as seed=0 or seed=0,1,2")
    return int(text)
