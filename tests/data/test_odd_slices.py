"""Data slices read as what they are: see test_oddities.py, which lists what is odd about them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data import files, hub
from xstilts.data.library import Library
from xstilts.data.readers import read
from xstilts.data.readers.squad import in_xquad
from xstilts.errors import UserError
from xstilts.results.question import robustness
from xstilts.sweep.sweeps import pretraining
from xstilts.task import load

Part = Callable[[str, str], list[dict[str, Any]]]


def world(root: Path) -> dict[str, Any]:
    return {"name": "files", "kind": "files", "root": str(root), "complete": False}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def paragraphs(path: Path) -> list[dict[str, Any]]:
    return [p for article in json.loads(path.read_text())["data"] for p in article["paragraphs"]]


def test_slices_are_marked_as_partial(slices: Path, tmp_path: Path) -> None:
    library = Library(tmp_path)
    files.fill(world(slices), [load("squad_v2")], library)
    manifest = library.manifest("squad_v2")
    assert manifest is not None
    assert not manifest["complete"]
    assert {part: known["rows"] for part, known in manifest["files"].items()} == {"en/train": 2000, "en/selection": 300}


def test_no_paragraph_of_xquad_is_trained_on(part: Part) -> None:
    """They are of SQuAD's development set, which the slices had to be cut from."""
    for name in ("squad", "squad_v2", "squad_retrieval"):
        rows = part(name, "en/train") + part(name, "en/selection")
        assert not any(in_xquad(row.get("context") or row["candidate"]) for row in rows)


def test_squad_1_is_squad_2_without_impossible_questions(slices: Path, part: Part) -> None:
    for split in ("en/train", "en/selection"):
        answerable = [row for row in part("squad_v2", split) if row["answers"]]
        assert part("squad", split) == answerable
    content = json.loads((slices / "squad/train-v1.1.json").read_text())
    assert content["version"] == "1.1"
    keys = {key for p in paragraphs(slices / "squad/train-v1.1.json") for question in p["qas"] for key in question}
    assert keys == {"id", "question", "answers"}


def test_the_field_split_of_hellaswag_decides_nothing(slices: Path, part: Part) -> None:
    records = lines(slices / "hellaswag/hellaswag_train.jsonl")
    assert {record["split"] for record in records} == {"val"}
    assert len(part("hellaswag", "en/train")) == len(records)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("hellaswag/hellaswag_{}.jsonl train val", "source_id"),
        ("cosmosqa/{}.csv train valid", "context"),
        ("socialiqa/socialIQa_v1.4_{}.jsonl trn dev", "context"),
        ("anli/anli_v1.0/R1/{}.jsonl train dev", "context"),
        ("anli/anli_v1.0/R2/{}.jsonl train dev", "context"),
        ("anli/anli_v1.0/R3/{}.jsonl train dev", "context"),
    ],
)
def test_both_slices_of_a_set_share_no_context(slices: Path, name: str, field: str) -> None:
    pattern, *splits = name.split()
    found = []
    for split in splits:
        path = slices / pattern.format(split)
        with path.open(newline="") as file:
            records = list(csv.DictReader(file)) if path.suffix == ".csv" else lines(path)
        found.append({record[field] for record in records})
    assert all(found)
    assert not found[0] & found[1]


def test_cosmos_ends_its_lines_as_dos_does(slices: Path, part: Part) -> None:
    """No carriage return is left in a text, and what Python's own reader makes of the bytes is the same."""
    path = slices / "cosmosqa/valid.csv"
    assert path.read_bytes().count(b"\r\n") == 301
    with path.open(newline="") as file:
        records = list(csv.DictReader(file))
    rows = part("cosmosqa", "en/selection")
    assert [row["context"] for row in rows] == [record["context"] for record in records]
    assert not any("\r" in text for row in rows for text in (row["context"], row["question"], *row["choices"]))
    assert any('"' in row["context"] for row in rows), "quotes within quotes are text"


def test_the_lost_concept_of_csqa_is_not_read(slices: Path, part: Part) -> None:
    train, selection = (lines(slices / f"commonsenseqa/{name}_rand_split.jsonl") for name in ("train", "dev"))
    assert not any(record["question"]["question_concept"] for record in train)
    assert all(record["question"]["question_concept"] for record in selection)
    for split in ("en/train", "en/selection"):
        assert {row["context"] for row in part("csqa", split)} == {""}


def test_only_the_gold_label_of_mnli_is_read(slices: Path, part: Part) -> None:
    records = lines(slices / "mnli/multinli_1.0_train.jsonl")
    assert all(record["annotator_labels"] == [record["gold_label"]] for record in records)
    assert not any(record["sentence1_parse"] or record["sentence2_binary_parse"] for record in records)
    assert [row["label"] for row in part("mnli", "en/train")] == [record["gold_label"] for record in records]


def test_mnli_selects_on_matched(slices: Path, part: Part) -> None:
    """Both development sets are there, and share no pair."""
    matched, other = (
        {(r["sentence1"], r["sentence2"]) for r in lines(slices / f"mnli/multinli_1.0_dev_{name}.jsonl")}
        for name in ("matched", "mismatched")
    )
    assert other
    assert not matched & other
    assert {(row["text_a"], row["text_b"]) for row in part("mnli", "en/selection")} == matched


def test_snli_says_the_same_twice(slices: Path, part: Part) -> None:
    """Of a pair whose annotators found no majority the gold label is "-" in both."""
    options = {"label": "gold_label", "id": None}
    path = slices / "snli/snli_1.0_dev.txt"
    rows = [row.values for row in read("tsv", [path], "en", **options)]
    assert part("snli", "en/selection") == [row for row in rows if row["label"] != "-"]


def test_anli_is_its_three_rounds(slices: Path, part: Part) -> None:
    rounds = [lines(slices / f"anli/anli_v1.0/R{number}/train.jsonl") for number in (1, 2, 3)]
    assert [len(records) for records in rounds] == [694, 670, 601]
    assert {record["emturk"] for record in rounds[0]} == {None}
    letters = {"entailment": "e", "neutral": "n", "contradiction": "c"}
    rows = part("anli", "en/train")
    assert [letters[row["label"]] for row in rows] == [r["label"] for records in rounds for r in records]


def test_xnli_has_19_columns(slices: Path, part: Part) -> None:
    header, first, *_ = (slices / "xnli/XNLI-1.0/xnli.test.tsv").read_text().split("\n")
    names, cells = header.split("\t"), first.split("\t")
    assert len(names) == len(cells) == 19
    assert {name for name, cell in zip(names, cells, strict=True) if not cell} >= {"label1", "match", "sentence1_parse"}
    languages = {language for language in load("xnli").languages if part("xnli", f"{language}/test")}
    assert languages == set(load("xnli").languages) - {"bg", "ur"}


def test_americasnli_has_a_header_of_its_own(slices: Path, part: Part) -> None:
    header = (slices / "americasnli/dev/aym.tsv").read_text().partition("\n")[0]
    assert header == "id\tlanguage\tpremise\thypothesis\tlabel"
    task = load("americasnli")
    for split in task.splits:
        counts = {language: len(part("americasnli", f"{language}/{split}")) for language in task.languages}
        assert {c for c, count in counts.items() if count == 100} == {"aym", "gn", "nah", "quy", "shp"}
        assert set(counts.values()) == {0, 100}
    assert {row["label"] for row in part("americasnli", "gn/test")} == set(task.labels)


def test_pawsx_has_what_it_has(part: Part) -> None:
    languages = load("pawsx").languages
    assert {c for c in languages if part("pawsx", f"{c}/dev")} == set(languages) - {"ja"}
    assert {c for c in languages if part("pawsx", f"{c}/test")} == {"de", "ko", "zh"}
    train, dev = part("pawsx", "en/train"), part("pawsx", "en/dev")
    assert (len(train), len(dev)) == (1300, 150)
    assert not {(r["text_a"], r["text_b"]) for r in train} & {(r["text_a"], r["text_b"]) for r in dev}
    ids = [[row["id"] for row in part("pawsx", f"{language}/test")] for language in ("de", "ko", "zh")]
    assert ids[0] == ids[1] == ids[2]


def test_copas_test_labels_are_xcopas(slices: Path, part: Part) -> None:
    """Were they still placeholders, an encoder that always says 0 would be right."""
    path = slices / "xcopa/data/en/test.en.jsonl"
    english = {row.values["id"]: row.values["label"] for row in read("multiple_choice", [path], "en", shape="copa")}
    assert 0.4 < sum(english.values()) / len(english) < 0.6
    for language in ("et", "qu", "zh"):
        assert {row["id"]: row["label"] for row in part("xcopa", f"{language}/test")} == english
    assert "en" not in load("xcopa").languages
    assert load("copa").evaluated == []


def sentences(path: Path) -> list[list[list[str]]]:
    """Cells of the lines of every sentence of a CoNLL-U file."""
    blocks = path.read_text().split("\n\n")
    found = [[line.split("\t") for line in b.split("\n") if line and not line.startswith("#")] for b in blocks]
    return [sentence for sentence in found if sentence]


def test_every_sentence_of_the_treebanks_is_read(slices: Path, part: Part) -> None:
    """None of these was taken out for copyright. Nigerian Pidgin, which no target has, is not read by one."""
    files = sorted(slices.glob("ud/UD_*/*-ud-test.conllu"))
    counts = {path.name.partition("_")[0]: len(sentences(path)) for path in files}
    assert (len(counts), sum(counts.values())) == (26, 3602)
    task = load("udpos")
    found = {language: len(part("udpos", f"{language}/test")) for language in task.languages}
    assert {language: count for language, count in found.items() if count} == {
        language: count for language, count in counts.items() if language != "pcm"
    }
    (pidgin,) = (path for path in files if path.name.startswith("pcm"))
    assert len(list(read("conllu", [pidgin], "pcm"))) == counts["pcm"]


@pytest.mark.parametrize("language", ["de", "es", "fr", "id", "mr", "ta", "tr", "wo"])
def test_multiword_tokens_of_the_treebanks_are_one_word(slices: Path, part: Part, language: str) -> None:
    """Words are those of the written text: a range of words counts once."""
    (path,) = slices.glob(f"ud/UD_*/{language}_*-ud-test.conllu")
    written, fused = [], 0
    for sentence in sentences(path):
        inside: set[int] = set()
        words = []
        for index, form, *_ in sentence:
            if "-" in index:
                first, last = map(int, index.split("-"))
                inside |= set(range(first, last + 1))
                fused += 1
                words.append(form)
            elif "." not in index and int(index) not in inside:
                words.append(form)
        written.append([word.replace(" ", "") for word in words])
    assert fused
    assert [row["tokens"] for row in part("udpos", f"{language}/test")] == written


def test_words_with_spaces_and_empty_nodes_of_the_treebanks(slices: Path, part: Part) -> None:
    (path,) = slices.glob("ud/UD_Vietnamese-*/*-test.conllu")
    written = [form for sentence in sentences(path) for _, form, *_ in sentence]
    tokens = [token for row in part("udpos", "vi/test") for token in row["tokens"]]
    assert sum(" " in form for form in written) == 358
    assert tokens == [form.replace(" ", "") for form in written]
    (path,) = slices.glob("ud/UD_English-*/*-train.conllu")
    assert sum("." in index for sentence in sentences(path) for index, *_ in sentence) == 5
    assert {tag for row in part("udpos", "en/train") for tag in row["tags"]} <= set(load("udpos").labels)


def test_other_releases_are_not_passed_off_as_25(slices: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"udpos_v25 has no en/train in world=files; looked for .*ud-treebanks-v2\.5"):
        files.fill(world(slices), [load("udpos_v25")], Library(tmp_path))
    assert not {part for part, count in load("udpos").counts.items() if count}, "sizes depend on the release"


def test_the_prefix_of_wikiann_is_no_part_of_a_token(slices: Path, part: Part) -> None:
    text = (slices / "panx_dataset/sw/dev").read_text()
    assert all(line.startswith("sw:") for line in text.split("\n") if line)
    written = [line.partition("\t")[0].removeprefix("sw:") for line in text.split("\n") if line]
    assert [token for row in part("panx", "sw/dev") for token in row["tokens"]] == written


def test_wikiann_has_39_languages(part: Part) -> None:
    counts = {language: len(part("panx", f"{language}/dev")) for language in load("panx").languages}
    there = {language: count for language, count in counts.items() if count}
    assert (len(there), sum(there.values()), set(there.values())) == (39, 4500, {60, 120})
    assert counts["th"] == 0


def test_xquad_r_is_xquad(part: Part) -> None:
    for language in ("ar", "en", "zh"):
        asked = {row["id"]: row["query"] for row in part("lareqa", f"{language}/test") if row["kind"] == "query"}
        assert asked == {row["id"]: row["question"] for row in part("xquad", f"{language}/test")}


def test_mlqa_reads_the_pairs_of_one_language(slices: Path, part: Part) -> None:
    """A German question about an English paragraph has the id of the English one, and is none of ours."""
    crossed = paragraphs(slices / "mlqa/MLQA_V1/dev/dev-context-en-question-de.json")
    questions = {q["id"]: q["question"] for paragraph in crossed for q in paragraph["qas"]}
    rows = {row["id"]: row["question"] for row in part("mlqa", "en/dev")}
    assert questions.keys() <= rows.keys()
    assert not any(rows[name] == text for name, text in questions.items())


def test_answers_of_tydiqa_are_where_they_say(slices: Path, part: Part) -> None:
    assert json.loads((slices / "tydiqa/tydiqa-goldp-v1.1-dev.json").read_text())["version"].startswith("TyDiQA-GoldP")
    for language in load("tydiqa").languages:
        for row in part("tydiqa", f"{language}/test"):
            assert row["answers"]
            for answer in row["answers"]:
                assert row["context"][answer["start"] :].startswith(answer["text"])


def test_tatoeba_has_36_languages(part: Part) -> None:
    counts = {language: len(part("tatoeba", f"{language}/test")) for language in load("tatoeba").languages}
    there = {language: count for language, count in counts.items() if count}
    assert len(there) == 36
    assert Counter(there.values()) == {150: 35, 136: 1}
    assert there["jv"] == 136


def test_bucc_has_one_language_and_part(slices: Path, part: Part) -> None:
    task = load("bucc")
    assert {p for p in task.parts if part("bucc", p)} == {"zh/dev"}
    rows = part("bucc", "zh/dev")
    sides = Counter(row["side"] for row in rows)
    assert all(1500 < count < 1800 for count in sides.values())
    gold = (slices / "bucc2018/zh-en/zh-en.dev.gold").read_text().split("\n")
    pairs = {f"{row['id']}\t{row['pair']}" for row in rows if row["side"] == "source" and row["pair"]}
    assert pairs == {line for line in gold if line}


@pytest.mark.parametrize("name", ["mewslix", "qqp", "ccg", "mlm_en", "mlm_multilingual"])
def test_what_has_no_slice_is_said_to_be_missing(slices: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name} has no en/train in world=files; looked for"):
        files.fill(world(slices), [load(name)], Library(tmp_path))
    if name == "ccg":
        assert "needs a licence" in hub.nowhere(load(name))


def test_sizes_of_pretraining_texts(slices: Path) -> None:
    """Ours is the table with the two writings of zh and of my together, and without what is romanised."""
    sizes: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    romanised = set()
    with (slices / "tables/cc-100/cc-100.csv").open() as file:
        for row in csv.DictReader(file):
            if row["ISO code"] == "-":
                romanised.add(row["Language"])
            else:
                sizes[row["ISO code"]] += float(row["Size (GiB)"])
                tokens[row["ISO code"]] += int(row["Tokens (M)"])
    assert len(romanised) == 5
    ours = pretraining("cc100")
    assert {code: round(size, 1) for code, size in ours.items()} == {c: round(s, 1) for c, s in sizes.items() if s}
    assert (round(ours["zh"], 1), round(ours["my"], 1), ours["no"]) == (63.5, 2.0, 49.0)
    with robustness.TOKENS.open() as file:
        assert {row["language"]: int(row["tokens_m"]) for row in csv.DictReader(file)} == dict(tokens)
