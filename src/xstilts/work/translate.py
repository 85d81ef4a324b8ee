"""Training data of a task in another language: `python -m xstilts.work.translate`.

    python -m xstilts.work.translate --model FOLDER --library STORE/library/hub --task squad --language sw --out OUT

It translates the English training part that the library has, by an open model, into OUT/TASK/LANGUAGE.jsonl, which
`world.translations=OUT` reads, and says in OUT/TASK/LANGUAGE.recipe.json how it was made and what was left out. What is
translated is kept as it comes in OUT/TASK/LANGUAGE.partial.jsonl: after a kill, the same command does the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts import task as tasks
from xstilts.data.digest import file_digest
from xstilts.data.library import Library
from xstilts.data.rows import Row, table
from xstilts.data.translated import check, translated, wanted
from xstilts.errors import DataError, UserError
from xstilts.files import read_json, write_bytes, write_json
from xstilts.work.machine import Machine
from xstilts.work.translator import Translator

VERSION = 1  # raised where the same recipe would give other items
#: Files of a model that decide what it says: weights, tokenizer, and how it is configured to generate.
DECISIVE = (".safetensors", ".json", ".model", ".spm")
Recipe = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """2 is a mistake of the user's, said in one line."""
    given = _parser().parse_args(arguments)
    try:
        run(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(given: argparse.Namespace) -> None:
    """Translate what is not translated yet, then write the items."""
    task, library = tasks.load(given.task), Library(given.library)
    check(task.format)
    if task.train is None:
        raise UserError(f"{task.name} has no training part")
    items = library.read(task.name, task.train).to_pylist()
    recipe = _recipe(given, library.manifest(task.name) or {}, task.train)
    place = given.out / task.name
    place.mkdir(parents=True, exist_ok=True)
    out, known = place / f"{given.language}.jsonl", place / f"{given.language}.recipe.json"
    if out.is_file() and known.is_file():
        if read_json(known)["recipe"] != recipe:
            raise UserError(f"{out} was made by another recipe, see {known}: give another --out, or delete both")
        print(f"{out} is there")
        return
    partial = place / f"{given.language}.partial.jsonl"
    said = _translations(given, partial, recipe, items, task.format)
    texts = {text: translation for text, (translation, _) in said.items()}
    made = [translated(item, task.format, texts) for item in items]
    kept = [item for item in made if item is not None]
    if table(task.elsewhere(given.language), (Row(out, n, dict(item)) for n, item in enumerate(kept, 1))) is None:
        raise UserError(f"of {len(items)} items none is left: no answer was found again")
    write_bytes(out, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in kept).encode())
    cut = sum(cut for _, cut in said.values())
    counts = {"items": len(items), "kept": len(kept), "without_answer": len(items) - len(kept)}
    write_json(known, {"recipe": recipe, **counts, "sentences": len(said), "cut": cut})
    partial.unlink(missing_ok=True)
    print(f"{out}: {len(kept)} of {len(items)} items; {cut} of {len(said)} sentences were cut")


def _recipe(given: argparse.Namespace, manifest: Mapping[str, Any], part: str) -> Recipe:
    """All that decides the translation."""
    paths = sorted(path for path in given.model.glob("*") if path.suffix in DECISIVE)
    return {
        "version": VERSION,
        "source": {"task": given.task, "part": part, "sha256": manifest["files"][part]["sha256"]},
        "model": {"name": given.model.resolve().name, "files": {path.name: file_digest(path) for path in paths}},
        "codes": given.codes or ["en", given.language],
        "beams": given.beams,
        "length": given.length,
        "precision": given.precision,
    }


def _translations(
    given: argparse.Namespace, partial: Path, recipe: Recipe, items: list[dict[str, Any]], format: str
) -> dict[str, tuple[str, bool]]:
    """Of every sentence its translation, and whether something of it was cut."""
    said = _begun(partial, recipe)
    left = dict.fromkeys(text for item in items for text in wanted(item, format))
    left = {text: None for text in left if text not in said}
    if left:
        numerics = {"device": given.device, "threads": None, "micro_tokens": given.batch_tokens}
        source, target = recipe["codes"]
        machine = Machine.of(numerics, given.precision)
        translator = Translator.load(given.model, source, target, machine, given.beams, given.length)
        total = len(said) + len(left)
        if not partial.is_file():
            write_bytes(partial, (json.dumps(recipe) + "\n").encode())
        with partial.open("a", encoding="utf-8") as file:
            for batch in translator.translate(list(left)):
                for one in batch:
                    said[one.text] = one.translation, one.cut
                    file.write(json.dumps([one.text, one.translation, one.cut], ensure_ascii=False) + "\n")
                file.flush()
                print(f"{len(said)} of {total} sentences", file=sys.stderr)
    return said


def _begun(partial: Path, recipe: Recipe) -> dict[str, tuple[str, bool]]:
    """What an earlier process had translated by this recipe. A last line that was not written whole is taken off."""
    if not partial.is_file():
        return {}
    content = partial.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_bytes(partial, whole)
    first, *lines = whole.decode().split("\n")[:-1]
    try:
        begun, said = json.loads(first), {text: (other, cut) for text, other, cut in map(json.loads, lines)}
    except ValueError as error:
        raise DataError(partial, f"is not what this command wrote ({error}): delete it") from None
    if begun != recipe:
        raise UserError(f"{partial} was begun by another recipe: give another --out, or delete it")
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xstilts.work.translate",
        description="Translate the English training part of a task; docs/regimes.md says how it is trained on.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="M2M100, NLLB, mBART or Marian")
    parser.add_argument("--library", type=Path, required=True, metavar="FOLDER", help="which has the task: do=fetch")
    parser.add_argument("--task", required=True, help="of format classification, choice or span")
    parser.add_argument("--language", required=True, metavar="xx", help="how our tables call it")
    parser.add_argument("--codes", nargs=2, metavar=("FROM", "TO"), help="how the model calls both (default: en xx)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="to give as world.translations")
    parser.add_argument("--beams", type=int, default=1, help="1 (default): the most probable token each time")
    parser.add_argument("--length", type=int, default=256, help="tokens of a sentence's translation, at most")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="tokens at once (default: by device)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
