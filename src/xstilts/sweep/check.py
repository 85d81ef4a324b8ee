"""What the user typed, checked before anything else: names, keys, types. One clear message, no traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xstilts import task
from xstilts.config import GROUPS, SWEEP_NAME, VALUES, Config, explain, schema_name
from xstilts.errors import UserError, choices
from xstilts.sweep.compose import compose, loader

_TOP = sorted({*GROUPS, *VALUES, "from", "experiment"} - {"start"})
#: Keys of a cluster's launcher below which anything may stand: options of sbatch's, names of models.
_OPEN = tuple(f"hydra.launcher.{name}" for name in ("additional_parameters", "stages", "limits"))
_TEXTS = ("sweep", "library", "store.path", "tracker.project", "tracker.entity", "tracker.salt")
_SHORT = {"store": "store.path", "tracker": "tracker.mode"}
#: Options of Hydra's that would bring another configuration than `conf/`.
_FOREIGN = ("config_path", "config_name", "config_dir", "experimental_rerun")


def check(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra should get them. Raises `UserError` on the first thing that cannot be right."""
    found = loader()
    options = get_args_parser().parse_intermixed_args(list(arguments))
    for name in _FOREIGN:
        if getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')}: files of your own belong in conf/, beside the others")
    schema = OmegaConf.structured(Config)
    checked = _checked(options.overrides, found, schema)
    base = compose(found, [c for c in checked if not c.startswith("hydra.")], mode=RunMode.MULTIRUN)
    _composed(base, found, schema)
    if hydras := [c for c in checked if c.startswith("hydra.")]:
        _hydra(hydras, base)
        base = compose(found, checked, mode=RunMode.MULTIRUN)
    _workstation(base.hydra.launcher)
    return [*(a for a in arguments if a not in options.overrides), *checked]


def _checked(lines: Sequence[str], found: ConfigLoader, schema: DictConfig) -> list[str]:
    """Override by override: keys that exist, each given once, with values of their types."""
    checked: dict[str, str] = {}
    for line in lines:
        override = _parse(line, found)
        key = _SHORT.get(override.key_or_group, override.key_or_group)
        if override.is_add() or override.is_delete() or override.package is not None:
            raise UserError(f"{line}: keys cannot be added or removed; write {key}=VALUE")
        if key in checked:
            raise UserError(f"{key} is given twice, as {checked[key].removeprefix('++')} and {line}; say it once")
        line = line.removeprefix("++")
        if line == "experiment=null":
            continue  # what it is without saying
        if key in GROUPS or key == "experiment" or key.startswith("hydra/"):
            checked[key] = _group(override, line, found)
        elif key.startswith("hydra."):
            checked[key] = f"++{line}" if key.startswith(_OPEN) else line
        else:
            checked[key] = _value(override, line, schema)
    return list(checked.values())


def _parse(line: str, found: ConfigLoader) -> Override:
    if "=" not in line:
        verbs = ", ".join(f"do={name}" for name in ("plan", "run", "status"))
        raise UserError(f"{line!r} is not KEY=VALUE, such as model=base,large or {verbs}")
    try:
        return OverridesParser.create(config_loader=found).parse_overrides([line])[0]
    except HydraException:
        raise UserError(
            f"{line!r} cannot be read; values with spaces or commas need quotes, as key='\"a, b\"'"
        ) from None


def _group(override: Override, line: str, found: ConfigLoader) -> str:
    """A choice, or several: each must be there. Lists are rewritten as Hydra's own sweep syntax."""
    group = override.key_or_group
    valid = found.get_group_options(group, ObjectType.CONFIG)
    if not valid:
        raise UserError(f"{line}: Hydra has no such group; {choices(group, _hydra_groups(found))}")
    if group == "hydra/sweeper":
        raise UserError(f"{line}: every verb is answered by our own sweeper; choose who runs cells with hydra/launcher")
    names = _values(override)
    for name in names:
        if str(name) not in valid:
            raise UserError(f"{group}={'null' if name is None else name}: no such choice; {choices(str(name), valid)}")
    if not names:
        raise UserError(f"{line}: no choice given; {choices('', valid)}")
    if group not in GROUPS and len(names) > 1:
        raise UserError(f"{group} takes one value, not a list: {', '.join((*GROUPS, 'seed'))} can be swept")
    return f"{group}={','.join(map(str, names))}"


def _hydra_groups(found: ConfigLoader) -> list[str]:
    return [f"hydra/{name}" for name in found.list_groups("hydra")]


def _values(override: Override) -> list[Any]:
    """What an override stands for, one by one."""
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: a sweep needs a list of values")
        parser = OverridesParser.create()
        return [parser.parse_override(f"x={text}").value() for text in override.sweep_string_iterator()]
    value = override.value()
    return value if isinstance(value, list) else [value]


def _value(override: Override, line: str, schema: DictConfig) -> str:
    """A key below the schema: it must exist there, and every value must have its type."""
    key = override.key_or_group
    if key in _SHORT:
        key, line = _SHORT[key], f"{_SHORT[key]}={line.partition('=')[2]}"
    head = key.split(".")[0]
    if head not in _TOP or head == "experiment":
        raise UserError(f"unknown key {key!r}; {choices(head, _TOP)}")
    sweeps = head in GROUPS or key == "seed"
    several = override.is_sweep_override() or (isinstance(override.value(), list) and not takes_list(key))
    if several and not sweeps:
        raise UserError(
            f"{key} takes one value, not a list: {', '.join((*GROUPS, 'seed'))} and keys below can be swept"
        )
    if key.startswith(("recipe.formats.", "recipe.tasks.")):
        _section(key)
    values = _values(override) if several else [override.value()]
    if not values:
        raise UserError(f"{line}: no value given")
    for value in values:
        if value == "":
            raise UserError(f"{line}: no value given")
        if sweeps and "${" in str(value):
            raise UserError(f"{line}: a cell's keys cannot refer to each other; write the value itself")
        _typed(schema, key, value)
    if key in _TEXTS and value is not None:
        line = _text(key, line)
    if several and not override.is_sweep_override():
        line = f"{key}={override.get_value_element_as_str()[1:-1]}"
    # A recipe need not mention every key of the schema, and Hydra overrides only what it finds: `++` adds as well.
    return f"++{line}" if head in GROUPS else line


def _section(key: str) -> None:
    """A recipe's section for one format or one mixture entry applies to something."""
    name = key.split(".")[2]
    if key.startswith("recipe.formats."):
        known = {task.load(name).format for name in task.names()}
    else:
        files = [path for group in ("inter", "target", "regime") for path in (task.CONF / group).glob("*.yaml")]
        known = {entry for path in files for entry in _entries(yaml.safe_load(path.read_text(encoding="utf-8")))}
    if name not in known:
        raise UserError(f"unknown key {key!r}; {choices(name, known)}")


def _entries(node: Any) -> Iterator[str]:
    """The names of the mixture entries in a file."""
    if isinstance(node, dict) and "tasks" in node:
        yield node["name"]
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _entries(below)


def _text(key: str, line: str) -> str:
    """A name or path as it was typed, even when it looks like a number: a sweep may be called 2024."""
    text = line.partition("=")[2].strip("'\"")
    if key == "sweep" and not re.fullmatch(SWEEP_NAME, text):
        raise UserError(f"{line}: a name is letters, digits and . _ + - after the first, such as sweep=first-try")
    return line if "'" in line or '"' in line or "${" in line else f"{key}='{text}'"


def _typed(schema: DictConfig, key: str, value: Any) -> None:
    """Whether a key of the schema exists and takes this value; `schema` is changed."""
    try:
        schema.merge_with(_nested(key, value))
        if (head := key.split(".")[0]) in ("numerics", "tracker"):
            OmegaConf.to_object(schema[head])
    except OmegaConfBaseException as error:
        raise UserError(explain(error, key)) from None


def _composed(base: DictConfig, found: ConfigLoader, schema: DictConfig) -> None:
    """What files say beside choices: an experiment's own keys, and what it sweeps."""
    for key in base:
        if key not in (*_TOP, "hydra"):
            raise UserError(f"unknown key {str(key)!r} in the configuration files; {choices(str(key), _TOP)}")
    for key in base:
        if key not in (*GROUPS, "experiment", "hydra"):
            _typed(schema, str(key), base[key])
    for place in base.store.read:
        if not Path(place).is_dir():
            raise UserError(f"store.read: {place} is no folder, so there is nothing to read")
    params = base.hydra.sweeper.get("params") or {}
    name = base.hydra.runtime.choices.get("experiment")
    try:
        _checked([f"{key}={as_text(key, value)}" for key, value in params.items()], found, schema)
    except UserError as error:
        raise UserError(f"experiment={name}: {error}") from None


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(schema_name(key).split(".")):
        value = {part: value}
    return value


@cache
def takes_list(key: str) -> bool:
    """Whether a list is one value of a key; of any other key it is values to sweep."""
    try:
        OmegaConf.merge(OmegaConf.structured(Config), _nested(key, []))
    except OmegaConfBaseException:
        return False
    return True


def as_text(key: str, value: Any) -> str:
    """A value of an experiment's `params` as it would be typed."""
    if not (OmegaConf.is_list(value) or isinstance(value, list)):
        return str(value)
    text = ",".join(map(str, value))
    return f"[{text}]" if takes_list(key) else text


def _hydra(lines: Sequence[str], base: DictConfig) -> None:
    """Keys of Hydra's own: they must exist, and not take the verbs away from our sweeper."""
    for line in lines:
        key = line.partition("=")[0]
        parent, _, last = key.rpartition(".")
        if key == "hydra.mode":
            raise UserError(f"{line}: it is always MULTIRUN here, with and without -m")
        above = OmegaConf.select(base, parent, throw_on_missing=False)
        if not OmegaConf.is_dict(above):
            raise UserError(f"unknown key {parent!r}; {choices(parent.split('.')[1], map(str, base.hydra))}")
        if last not in above:
            raise UserError(f"unknown key {key!r}; {choices(last, map(str, above))}")


def _workstation(launcher: DictConfig) -> None:
    """The keys of hydra/launcher=workstation, which has no schema of Hydra's."""
    if launcher.get("_target_") == "hydra_plugins.xstilts.launcher.WorkstationLauncher":
        for key, least in {"workers": 1, "tries": 0}.items():
            value = launcher[key]
            if not (isinstance(value, int) and value >= least) and not (value is None and key == "workers"):
                raise UserError(f"hydra.launcher.{key}={value}: a whole number from {least} is needed")


__all__ = ["as_text", "check", "loader"]
