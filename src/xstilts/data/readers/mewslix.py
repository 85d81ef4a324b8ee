"""Mewsli-X: which entity does a mention in the news mean? The JSON lines that its download script leaves.

Texts are prepared as XTREME-R's baseline does: a mention is its own words, a colon, and its sentence with the mention
in braces; an entity is the sentences of its description. The hub's copies have them either so, as texts (`mention`,
`entity`, `description`), or as the script leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any

import regex

from xstilts.data.readers.lines import json_lines
from xstilts.data.rows import Row
from xstilts.errors import DataError, UserError, choices

_BRACES = regex.compile(r"\{(.*?)\}")


def read(paths: Sequence[Path], language: str, what: str, member: str = "*") -> Iterator[Row]:
    """`what` is pairs (of Wikipedia), mentions (of WikiNews, in one language) or entities; `member` is the name of the
    file in an archive, or of the files among several."""
    if what not in WHAT:
        raise UserError(f"Mewsli-X has no {what!r}; {choices(what, WHAT)}")
    for path in [path for path in paths if ".tar" in path.name or fnmatchcase(path.name, member)]:
        for number, record in json_lines(path, member):
            try:
                for values in WHAT[what](record, language):
                    yield Row(path, number, values)
            except (KeyError, TypeError) as error:
                raise DataError(path, f"is none of Mewsli-X's {what}: {type(error).__name__} {error}", number) from None
            except ValueError as error:
                raise DataError(path, str(error), number) from None


def _pairs(record: dict[str, Any], language: str) -> Iterator[dict[str, Any]]:
    if isinstance(record.get("mention"), str):
        query, candidate = _one_line(record["mention"]), _one_line(record["entity"])
        # Where no entity is named, equal texts are one.
        entity = record.get("entity_id") or blake2b(candidate.encode(), digest_size=8).hexdigest()
        name = {"id": record["example_id"]} if "example_id" in record else {}
        yield {**name, "kind": "pair", "query": query, "candidate": candidate, "positives": [entity]}
        return
    mention, entity = record["contextual_mention"], record["entity"]
    yield {
        "id": mention["mention"]["example_id"],
        "kind": "pair",
        "query": _query(mention["context"], mention["mention"]),
        "candidate": _description(entity),
        "positives": [entity["entity_id"]],
    }


def _mentions(record: dict[str, Any], language: str) -> Iterator[dict[str, Any]]:
    if isinstance(record.get("mention"), str):  # of a file that has this language alone
        query, name = _one_line(record["mention"]), {"id": record["example_id"]} if "example_id" in record else {}
        yield {**name, "kind": "query", "query": query, "candidate": "", "positives": [record["entity_id"]]}
    elif record["context"]["language"] == language:
        for mention in record["mentions"] if "mentions" in record else [record["mention"]]:
            yield {
                "id": mention["example_id"],
                "kind": "query",
                "query": _query(record["context"], mention),
                "candidate": "",
                "positives": [mention["entity_id"]],
            }


def _entities(record: dict[str, Any], language: str) -> Iterator[dict[str, Any]]:
    text = _description(record)
    yield {"id": record["entity_id"], "kind": "candidate", "query": "", "candidate": text, "positives": []}


WHAT = {"pairs": _pairs, "mentions": _mentions, "entities": _entities}


def _query(context: dict[str, Any], mention: dict[str, Any]) -> str:
    text, span = context["text"], mention["mention_span"]
    start, end, said = span["start"], span["end"], span["text"]
    if text[start:end] != said:
        raise ValueError(f"mention {mention['example_id']}: {said!r} is not at character {start} of the text")
    inside = [s for s in context["sentence_spans"] if s["start"] <= start and end <= s["end"]]
    if not inside:
        raise ValueError(f"mention {mention['example_id']}: {said!r} lies in no sentence")
    left = _BRACES.sub(r"(\1)", text[inside[0]["start"] : start])
    right = _BRACES.sub(r"(\1)", text[end : inside[0]["end"]])
    return _one_line(f"{said}: {left} {{ {said} }} {right}")


def _description(entity: dict[str, Any]) -> str:
    text = entity["description"]
    if "sentence_spans" not in entity:
        return _one_line(text)
    return _one_line(" ".join(text[s["start"] : s["end"]] for s in entity["sentence_spans"]))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()
