"""What the user typed, checked before anything else: names, keys, types. One clear message, no traceback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xstilts.config import GROUPS, VALUES, Config, explain
from xstilts.errors import UserError, choices
from xstilts.task import CONF

#: `from` is a word of Python's, so the schema calls it `start`.
_SCHEMA_NAME = {"from": "start"}
_TOP = sorted({*GROUPS, *VALUES, "from", "experiment"} - {"start"})


def loader() -> ConfigLoader:
    """Hydra's own loader over `conf/` and every installed plugin."""
    setup_globals()
    return ConfigLoaderImpl(create_automatic_config_search_path(None, None, str(CONF)))


def check(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra should get them. Raises `UserError` on the first thing that cannot be right."""
    found = loader()
    flags = [a for a in arguments if a.startswith("-")]
    typed = [a for a in arguments if not a.startswith("-")]
    checked = []
    for line in typed:
        override = _parse(line, found)
        key = override.key_or_group
        if (override.is_add() and not override.is_force_add()) or override.is_delete() or override.package is not None:
            raise UserError(f"{line}: keys cannot be added or removed; write {key}=VALUE")
        if found.get_group_options(key, ObjectType.CONFIG) and key != "store":
            checked.append(_group(override, line, found))
        elif key.startswith("hydra"):
            checked.append(line)
        else:
            checked.append(_value(override, line))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found.load_configuration("config", checked, RunMode.MULTIRUN, validate_sweep_overrides=False)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_first_lines(error)) from None
    return [*flags, *checked]


def _parse(line: str, found: ConfigLoader) -> Override:
    if "=" not in line:
        verbs = ", ".join(f"do={name}" for name in ("plan", "run", "status"))
        raise UserError(f"{line!r} is not KEY=VALUE, such as model=base,large or {verbs}")
    try:
        return OverridesParser.create(config_loader=found).parse_override(line)
    except HydraException:
        raise UserError(
            f"{line!r} cannot be read; values with spaces or commas need quotes, as key='\"a, b\"'"
        ) from None


def _group(override: Override, line: str, found: ConfigLoader) -> str:
    """A choice, or several: each must be there. Lists are rewritten as Hydra's own sweep syntax."""
    group = override.key_or_group
    valid = found.get_group_options(group, ObjectType.CONFIG)
    names = _values(override)
    for name in names:
        if name is None and group == "experiment":
            continue
        if str(name) not in valid:
            raise UserError(f"{group}={name}: no such choice; {choices(str(name), valid)}")
    if not names:
        raise UserError(f"{line}: no choice given; {choices('', valid)}")
    if override.is_sweep_override() or not isinstance(override.value(), list):
        return line
    return f"{group}={','.join(str(n) for n in names)}"


def _values(override: Override) -> list[Any]:
    """What an override stands for, one by one."""
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: a sweep needs a list of values")
        parser = OverridesParser.create()
        return [parser.parse_override(f"x={text}").value() for text in override.sweep_string_iterator()]
    value = override.value()
    return value if isinstance(value, list) else [value]


def _value(override: Override, line: str) -> str:
    """A key below the schema: it must exist there, and every value must have its type."""
    key = override.key_or_group
    if key == "store":
        key, line = "store.path", f"store.path={override.get_value_element_as_str()}"
    head, *rest = key.split(".")
    if head not in _TOP:
        raise UserError(f"unknown key {key!r}; {choices(head, _TOP)}")
    path = [_SCHEMA_NAME.get(head, head), *rest]
    schema = OmegaConf.structured(Config)
    several = override.is_sweep_override() or key == "seed"  # other lists are one value
    values = _values(override) if several else [override.value()]
    if key == "seed" and not override.is_sweep_override():
        line = f"seed={','.join(map(str, values))}"
    for value in values:
        nested: Any = value
        for part in reversed(path):
            nested = {part: nested}
        try:
            OmegaConf.merge(schema, nested)
        except OmegaConfBaseException as error:
            raise UserError(explain(error, Config)) from None
    # A recipe need not mention every key of the schema, and Hydra overrides only what it finds: `++` adds as well.
    return f"++{line}" if head in GROUPS else line


def _first_lines(error: Exception) -> str:
    """Hydra's complaint without its search path and hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
