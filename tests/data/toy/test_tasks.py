"""Every task of the project answers in the toy world, and what it answers is right by the world's own logic."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from reading import event

from xstilts import task as tasks
from xstilts.data import toy
from xstilts.data.library import Library
from xstilts.data.toy.languages import LANGUAGES
from xstilts.data.toy.lexicon import CLASS, CLASSES, UPOS, forms
from xstilts.data.toy.logic import relation
from xstilts.data.toy.scenes import PLACES_OF
from xstilts.task import Task

WORLD: dict[str, Any] = {"name": "toy", "seed": 0, "sizes": {"train": 60, "selection": 20, "dev": 20, "test": 40}}
CODES = [language.code for language in LANGUAGES]
Rows = list[dict[str, Any]]


@cache
def made(name: str, seed: int = 0) -> dict[str, Rows]:
    """Every part of a task."""
    return dict(toy.parts(toy.localised(tasks.load(name), WORLD["sizes"]), {**WORLD, "seed": seed}))


def of_format(name: str) -> list[str]:
    return [task for task in tasks.names() if tasks.load(task).format == name]


def texts(rows: Rows) -> set[str]:
    """What tells items apart."""
    return {" | ".join(f"{key}={value}" for key, value in row.items() if key not in {"id", "label"}) for row in rows}


@pytest.mark.parametrize("name", tasks.names())
def test_every_part_passes_the_library_and_is_the_same_bytes_every_time(name: str, tmp_path: Path) -> None:
    task = tasks.load(name)
    first, second = Library(tmp_path / "first"), Library(tmp_path / "second")
    for library in (first, second):
        toy.fill(WORLD, [task], library)
    manifest = first.manifest(name)
    assert manifest is not None
    assert manifest["complete"]
    assert manifest["world"] == "toy"
    assert not manifest["missing"]
    assert set(manifest["files"]) == set(toy.localised(task).parts)
    assert all(file["rows"] == file["expected"] for file in manifest["files"].values())
    for part in manifest["files"]:
        assert first.path(name, part).read_bytes() == second.path(name, part).read_bytes()


@pytest.mark.parametrize("name", tasks.names())
def test_another_seed_is_another_draw(name: str) -> None:
    assert all(
        made(name)[part] != rows for part, rows in made(name, seed=1).items() if not part.endswith("/candidates")
    )


def test_tasks_of_a_format_are_different_data() -> None:
    said = defaultdict(list)
    for name in tasks.names():
        for part, rows in made(name).items():
            said[tasks.load(name).format, part].append((name, texts(rows)))
    for (_, part), drawn in said.items():
        for number, (name, lines) in enumerate(drawn):
            for other, others in drawn[:number]:
                if part.startswith("en/") and part != "all/candidates":
                    assert len(lines & others) < 0.5 * len(lines), f"{part} of {name} is that of {other}"


def test_nothing_evaluated_was_trained_on() -> None:
    """Nor selected by: not an item, in any task of the format."""
    said: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in tasks.names():
        for part, rows in made(name).items():
            code, split = part.split("/")
            if code == "en" and tasks.load(name).format not in {"mlm", "dual_encoder"}:
                said[tasks.load(name).format, code][split] |= {_base(tasks.load(name), row) for row in rows}
    for (form, _), splits in said.items():
        for split, lines in splits.items():
            for other in set(splits) - {split}:
                assert not lines & splits[other], f"{form}: {split} and {other}"


def _base(task: Task, row: dict[str, Any]) -> str:
    """What an item is built around."""
    if task.format == "choice":
        return f"{row['context']} {row['question']} {' / '.join(row['choices'])}"
    return (
        " ".join(row["tokens"])
        if task.format == "tagging"
        else str(row.get("text_a") or row.get("context") or row.get("text"))
    )


@pytest.mark.parametrize("name", of_format("classification"))
def test_labels_are_balanced(name: str) -> None:
    labels = tasks.load(name).labels
    for part, rows in made(name).items():
        counts = Counter(row["label"] for row in rows)
        assert max(counts[label] for label in labels) - min(counts[label] for label in labels) <= 1, part


@pytest.mark.parametrize("name", [n for n in of_format("classification") if "entailment" in tasks.load(n).labels])
def test_labels_are_what_the_sentences_say(name: str) -> None:
    """Read back from the English text, and the same in every language."""
    for part, rows in made(name).items():
        if part.startswith("en/"):
            for row in rows:
                assert relation(event(row["text_a"]), event(row["text_b"])) == row["label"], row
        elif "en/" + part.split("/")[1] in made(name):
            assert [row["label"] for row in rows] == [row["label"] for row in made(name)["en/" + part.split("/")[1]]]


@pytest.mark.parametrize("name", ["mnli", "squad", "hellaswag"])
def test_translations_are_the_english_items_in_other_words(name: str) -> None:
    for code in toy.STAND_INS.values():
        translation = made(f"{name}.{code}")
        assert list(translation) == [f"{code}/train"]
        for row, english in zip(translation[f"{code}/train"], made(name)["en/train"], strict=True):
            assert row["id"] == english["id"]
            assert row.get("label") == english.get("label")
            assert len(row.get("answers", [])) == len(english.get("answers", []))
            assert row != english


@pytest.mark.parametrize("name", of_format("span"))
def test_answers_are_in_the_clause_that_the_question_is_about(name: str) -> None:
    """The verb of the question, or its synonym, stands in the clause of the answer, and in no other clause."""
    from xstilts.data.toy.lexicon import PLAIN

    without = 0
    for part, rows in made(name).items():
        code = part.split("/")[0]
        concepts = {form: concept for concept, form in forms(code).items()}
        verbs = [
            {PLAIN.get(c, c) for c in (concepts.get(w, w) for w in line.split()) if UPOS.get(c) == "VERB" or c == "is"}
            for row in rows for line in [row["question"]]
        ]  # fmt: skip
        for row, asked in zip(rows, verbs, strict=True):
            clauses = row["context"].split(" . ")
            about = [
                n for n, clause in enumerate(clauses)
                if asked & {PLAIN.get(concepts.get(w, w), concepts.get(w, w)) for w in clause.split()}
            ]  # fmt: skip
            without += not row["answers"]
            assert len(about) == bool(row["answers"]), row
            for answer in row["answers"]:
                before = row["context"][: answer["start"]].count(" . ")
                assert before == about[0], row
                assert row["context"][answer["start"] :].startswith(answer["text"])
    assert bool(without) == bool(tasks.load(name).options.get("no_answer"))


@pytest.mark.parametrize("name", of_format("choice"))
def test_choices_are_different_and_every_place_is_right_sometimes(name: str) -> None:
    for part, rows in made(name).items():
        assert all(len(set(row["choices"])) == len(row["choices"]) for row in rows), part
    for rows in made(name).values():
        count = len(rows[0]["choices"])
        assert {len(row["choices"]) for row in rows} == {count}
        if len(rows) >= 10 * count:
            assert set(Counter(row["label"] for row in rows)) == set(range(count))


@pytest.mark.parametrize("name", [n for n in of_format("choice") if n == "csqa"])
def test_common_sense_is_what_the_world_knows(name: str) -> None:
    for part, rows in made(name).items():
        for row in rows if part.startswith("en/") else []:
            noun = row["question"].split()[2]
            right = PLACES_OF[noun] if row["question"].startswith("where") else [CLASS[noun]]
            named = [choice.removeprefix("the ") for choice in row["choices"]]
            assert [word in right for word in named] == [n == row["label"] for n in range(5)]
            assert set(named) <= {*CLASSES["place"], *CLASSES}


@pytest.mark.parametrize("name", of_format("tagging"))
def test_tags_are_known_and_most_kinds_come_up(name: str) -> None:
    task = tasks.load(name)
    used = {tag for rows in made(name).values() for row in rows for tag in row["tags"]}
    assert used <= set(task.labels), used - set(task.labels)
    assert len(used) >= 5
    for rows in made(name).values():
        assert all(len(row["tokens"]) == len(row["tags"]) for row in rows)


@pytest.mark.parametrize("name", of_format("nearest"))
def test_translations_share_nothing_but_numbers_and_punctuation(name: str) -> None:
    for part, rows in made(name).items():
        code = part.split("/")[0]
        assert len({row["target"] for row in rows}) == len(rows)
        for row in rows:
            assert not {w for w in row["source"].split() if w.isalpha()} & set(row["target"].split()), code


@pytest.mark.parametrize("name", of_format("mining"))
def test_pools_hold_pairs_and_others(name: str) -> None:
    for rows in made(name).values():
        byid = {row["id"]: row for row in rows}
        paired = [row for row in rows if row["pair"]]
        assert 0 < len(paired) < len(rows)
        assert all(
            byid[row["pair"]]["pair"] == row["id"] and byid[row["pair"]]["side"] != row["side"] for row in paired
        )
        assert len({(row["side"], row["text"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", of_format("dual_encoder"))
def test_what_is_right_is_among_the_candidates(name: str) -> None:
    parts = made(name)
    candidates = {row["id"] for rows in parts.values() for row in rows if row["kind"] == "candidate"}
    queries = [row for rows in parts.values() for row in rows if row["kind"] == "query"]
    assert all(set(row["positives"]) <= candidates for row in queries)
    assert bool(queries) == bool(candidates) == bool(tasks.load(name).languages)


def test_the_toy_world_says_for_every_language_what_it_evaluates() -> None:
    for name in tasks.names():
        task = toy.localised(tasks.load(name))
        codes = {part.split("/")[0] for part in task.evaluated} - {"all"}
        missing = set(CODES) - codes
        assert not codes or missing == ({"en"} if task.format in {"nearest", "mining"} else set()), name
