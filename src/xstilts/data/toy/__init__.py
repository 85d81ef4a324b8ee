"""The toy world: a synthetic micro-world that answers for every task, small enough to run whole on a laptop.

    languages.py   who speaks: resource, order, script, kinship     lexicon.py   words, names, what can be done to what
    events.py      what a clause says                               scenes.py    people, scenes, what happens
    stories.py     documents, and what follows from what            logic.py     what a clause says about another
    grammar.py     from events to a language's words
    tasks/         a generator a format                             tokens.py    the tokenizer
    models.py      the shapes of the models and their weights

All of it is synthetic, and results from it say so. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.toy.languages import LANGUAGES, Language, seen

if TYPE_CHECKING:
    from xstilts.data.library import Library
    from xstilts.task import Task

__all__ = ["LANGUAGES", "SIZES", "Language", "fill", "localised", "seen"]

#: items a part, by split, where the world does not say
SIZES = {"train": 2000, "selection": 200, "dev": 100, "test": 200}
#: formats in which English is the other side of every item
_PAIRED = {"nearest", "mining"}


def localised(task: Task) -> Task:
    """A task as the toy world has it: evaluated in the toy languages, without the counts of the published data."""
    codes = [language.code for language in LANGUAGES if language.code != "en" or task.format not in _PAIRED]
    options = dict(task.options)
    if options.get("normalisation") == "mlqa":
        options["normalisation"] = "squad"  # MLQA's articles are those of real languages
    return replace(task, languages=codes if task.languages else [], options=options, counts={})


def fill(world: dict[str, Any], tasks: Iterable[Task], library: Library) -> None:
    """Write every part of the tasks. `world` has `seed` and `sizes`, items by split. Same words, same bytes."""
    import pyarrow as pa

    from xstilts import formats

    for task in map(localised, tasks):
        schema = formats.get(task.format).columns
        for name, rows in parts(task, world):
            library.write(task, name, pa.Table.from_pylist(rows, schema))
        library.finish(task, source(world), world=world.get("name", "toy"), complete=True)


def parts(task: Task, world: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The name and the rows of every part of a localised task."""
    from xstilts.data.toy.tasks.part import Part

    generator = import_module(f"xstilts.data.toy.tasks.{task.format}")
    sizes, seed = _sizes(world), int(world.get("seed", 0))
    shared: dict[str, Any] = {}  # items of a split that every language has
    for name in task.parts:
        code, split = name.split("/")
        part = Part(task, code, split, sizes.get(split, sizes["test"]), seed)
        items = generator.items(part) if part.independent or split not in shared else shared[split]
        shared[split] = items
        yield name, [{"id": f"{number}", **generator.row(item, part)} for number, item in enumerate(items)]


def source(world: dict[str, Any]) -> dict[str, Any]:
    """What a filling depends on: the world's settings and this package's own code."""
    return {"seed": int(world.get("seed", 0)), "sizes": _sizes(world), "code": _code()}


def _sizes(world: dict[str, Any]) -> dict[str, int]:
    return {**SIZES, **(world.get("sizes") or {})}


def _code() -> str:
    """Hash of the generators, so that a library filled by older ones is known to be stale."""
    sha, here = sha256(), Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        sha.update(f"{path.relative_to(here)}\n".encode() + path.read_bytes())
    return sha.hexdigest()
