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

from xstilts.data.toy.languages import BY_CODE, LANGUAGES, Language, seen

if TYPE_CHECKING:
    from xstilts.data.library import Library
    from xstilts.task import Task

__all__ = ["LANGUAGES", "SIZES", "Language", "fill", "localised", "seen"]

#: items a part, by split, where the world does not say
SIZES = {"train": 2000, "selection": 200, "dev": 100, "test": 200}
#: toy languages in the place of those that published intermediate data was translated into: two tiers, both orders
STAND_INS = {"de": "qhm", "ru": "qhf", "sw": "qlm"}
_TRANSLATABLE = {"classification", "choice", "span", "tagging"}  # tags follow their words
POOL = 240  # persons that Mewsli-X's queries may mean
#: formats in which English is the other side of every item
_PAIRED = {"nearest", "mining"}


def localised(task: Task, sizes: dict[str, int] | None = None) -> Task:
    """A task as the toy world has it: evaluated in the toy languages, in the toy world's own numbers of rows."""
    codes = [language.code for language in LANGUAGES if language.code != "en" or task.format not in _PAIRED]
    options = dict(task.options)
    if options.get("normalisation") == "mlqa":
        options["normalisation"] = "squad"  # MLQA's articles are those of real languages
    here = replace(task, languages=codes if task.languages else [], options=options)
    return replace(here, counts={part: rows(task, part, sizes) for part in here.parts})


def stand_in(task: Task, code: str) -> str:
    """The toy language in the place of a real one that a task is trained on in; any other code is its own.

    The toy world's multilingual corpus has all languages in its one part.
    """
    return "en" if task.format == "mlm" else STAND_INS.get(code, code)


def translates(task: Task) -> bool:
    """Whether there is such a translation of a task's training part."""
    return task.format in _TRANSLATABLE and task.name.removeprefix(f"{task.base}.") in BY_CODE


def rows(task: Task, part: str, sizes: dict[str, int] | None = None) -> int:
    """How many rows a part has."""
    split = part.split("/")[1]
    count = _items(split, sizes)
    if task.format == "mining":
        return 2 * count  # a side each
    if task.format == "dual_encoder" and split not in {"train", "selection"}:
        # Mewsli-X has one pool of persons; elsewhere a question lies beside the two sentences of its paragraph.
        return POOL if split == "candidates" else count if task.shared else 3 * count
    return count


def fill(world: dict[str, Any], tasks: Iterable[Task], library: Library) -> None:
    """Write every part of the tasks. `world` has `seed` and `sizes`, items by split. Same words, same bytes."""
    import pyarrow as pa

    from xstilts import formats

    for task in (localised(task, world.get("sizes")) for task in tasks):
        schema = formats.get(task.format).columns
        for name, rows in parts(task, world):
            library.write(task, name, pa.Table.from_pylist(rows, schema))
        library.finish(task, source(world, task), world=world.get("name", "toy"), complete=True)


def parts(task: Task, world: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The name and the rows of every part of a localised task."""
    from xstilts.data.toy.tasks.part import Part

    generator = import_module(f"xstilts.data.toy.tasks.{task.format}")
    original = replace(task, name=task.base)  # a translation has its items
    shared: dict[str, Any] = {}  # items of a split that every language has
    for name in task.parts:
        code, split = name.split("/")
        part = Part(original, code, split, _items(split, world.get("sizes")), int(world.get("seed", 0)))
        items = shared[split] if split in shared and not part.independent else generator.items(part)
        shared[split] = items
        yield name, [{"id": f"{number}", **generator.row(item, part)} for number, item in enumerate(items)]


def source(world: dict[str, Any], task: Task) -> dict[str, Any]:
    """What a filling of a localised task depends on: the world's settings, the task's own, and this package's code."""
    sizes = {**SIZES, **(world.get("sizes") or {})}
    definition = {"identity": task.identity(), "parts": task.parts, "toy": task.source.get("toy")}
    return {"seed": int(world.get("seed", 0)), "sizes": sizes, "definition": definition, "code": code()}


def _items(split: str, sizes: dict[str, int] | None) -> int:
    return {**SIZES, **(sizes or {})}.get(split, SIZES["test"])


def code() -> str:
    """Hash of the generators, so that a library filled by older ones is known to be stale."""
    sha, here = sha256(), Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        sha.update(f"{path.relative_to(here)}\n".encode() + path.read_bytes())
    return sha.hexdigest()
