"""The formats, one room each."""

from __future__ import annotations

from importlib import import_module

from xstilts.errors import UserError, choices
from xstilts.formats.base import Format

FORMATS = {
    "classification": "Classification",
    "choice": "Choice",
    "span": "Span",
    "tagging": "Tagging",
    "nearest": "Nearest",
    "mining": "Mining",
    "dual_encoder": "DualEncoder",
    "mlm": "MaskedLanguageModel",
}


def get(name: str) -> Format:
    """The format of that name."""
    if name not in FORMATS:
        raise UserError(f"no format {name!r}; {choices(name, FORMATS)}")
    return getattr(import_module(f"xstilts.formats.{name}"), FORMATS[name])()
