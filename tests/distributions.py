"""A folder of distributions that has every task: the real slices, and a few invented items where there is no slice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xstilts.task import load

#: In the layout of the fixtures, which keep archives' names as folders.
TRANSLATIONS = "fixtures/hf_dummy/xnli/all_languages/XNLI-MT-1.0.zip/XNLI-MT-1.0"


def make(slices: Path, place: Path) -> Path:
    """`place`, filled."""
    place.mkdir()
    for path in slices.iterdir():
        if path.is_dir() and path.name not in ("fixtures", "tables", "tokenizer", "xnli"):
            (place / path.name).symlink_to(path)
    (place / "xnli").mkdir()
    (place / "xnli/XNLI-1.0").symlink_to(slices / "xnli/XNLI-1.0")
    (place / "xnli/XNLI-MT-1.0").symlink_to(slices / TRANSLATIONS)
    (place / "ud-treebanks-v2.5").symlink_to(slices / "ud")  # other releases, which is why no result is one
    _text(slices, place)
    _qqp(place / "QQP")
    _ccgbank(place / "ccgbank_1_1/data/AUTO")
    _mewslix(slices, place / "mewslix")
    return place


def _text(slices: Path, place: Path) -> None:
    """Running text: the paragraphs of XQuAD, in English where it has not the language."""
    languages = load("mlm_multilingual").multilingual["languages"]
    texts = {path.suffixes[0][1:]: _paragraphs(path) for path in (slices / "xquad").glob("xquad.*.json")}
    (place / "mlm_multilingual").mkdir()
    for language in ["en", *languages]:
        (place / f"mlm_multilingual/{language}.txt").write_text(texts.get(language, texts["en"][:200]))
    (place / "wikitext-103-raw").mkdir()
    for name in ("train", "valid"):
        (place / f"wikitext-103-raw/wiki.{name}.raw").write_text(f" = Title = \n \n{texts['en']}")


def _paragraphs(path: Path) -> str:
    data = json.loads(path.read_text())["data"]
    return "".join(p["context"].replace("\n", " ") + "\n" for article in data for p in article["paragraphs"])


def _qqp(place: Path) -> None:
    place.mkdir()
    rows = [f"{n}\t{n}\t{n}\tWhat is the number {n}?\tWhich number is {n}?\t{n % 2}\n" for n in range(40)]
    for name in ("train", "dev"):
        (place / f"{name}.tsv").write_text("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n" + "".join(rows))


def _ccgbank(place: Path) -> None:
    leaves = "(<T S[dcl] 0 2> (<L NP PRP PRP It NP>) (<L S[dcl]\\NP VBZ VBZ rains S[dcl]\\NP>) )"
    for section in ("00", "18", "19", "20"):
        (place / section).mkdir(parents=True)
        lines = [f"ID=wsj_{section}01.{n} PARSER=GOLD NUMPARSE=1\n{leaves}\n" for n in range(10)]
        (place / f"{section}/wsj_{section}01.auto").write_text("".join(lines))


def _mewslix(slices: Path, place: Path) -> None:
    """The distribution's sample of mentions, trained on with the entities made up for them."""
    place.mkdir()
    sample = (slices / "fixtures/mewslix_example_mentions.jsonl").read_text()
    pairs, entities = [], {}
    for article in map(json.loads, sample.splitlines()):
        for mention in article["mentions"]:
            name = mention["entity_id"]
            description = f"What {name} is, in a sentence."
            entities[name] = {"entity_id": name, "title": name, "description": description}
            entities[name]["sentence_spans"] = [{"start": 0, "end": len(description)}]
            context = {"context": article["context"], "mention": mention}
            pairs.append({"contextual_mention": context, "entity": entities[name]})
    for split in ("dev", "test"):
        (place / f"wikinews_mentions-{split}.jsonl").write_text(sample)
    for split in ("train", "dev"):
        (place / f"wikipedia_pairs-{split}.jsonl").write_text(_lines(pairs))
    (place / "candidate_set_entities.jsonl").write_text(_lines(list(entities.values())))


def _lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)
