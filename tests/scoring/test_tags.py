from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.scoring.tags import chunk_f1, token_accuracy

OLD, NEW = "seqeval-0.0.12", "seqeval-1.2.2"

#: Gold, predicted, and what the two releases of seqeval themselves give for them; sentences are divided by |.
GOLDEN = [
    ("NOUN NOUN VERB CCONJ SCONJ X", "NOUN ADJ VERB CCONJ SCONJ X", 72.72727272727272, 57.14285714285715),
    ("SYM SYM NUM NUM | X X", "SYM SYM NUM X | X NUM", 40.0, 50.0),
    ("INTJ PUNCT INTJ INTJ | SCONJ PRON", "INTJ INTJ INTJ PUNCT | CCONJ PRON", 22.222222222222225, 44.44444444444445),
    (
        "B-PER I-PER O B-LOC | O B-ORG I-ORG",
        "B-PER I-PER O B-ORG | O B-ORG I-ORG",
        66.66666666666666,
        66.66666666666666,
    ),
    ("I-PER I-PER I-LOC O | I-ORG B-ORG", "B-PER I-PER I-LOC O | B-ORG I-ORG", 57.14285714285715, 57.14285714285715),
    ("B-PER I-LOC O | O O", "B-PER I-PER O | B-LOC O", 0.0, 0.0),
    ("S-A B-B I-B E-B O | E-A E-A", "S-A B-B E-B E-B O | E-A S-A", 66.66666666666666, 66.66666666666666),
    ("B-a-b I-a-b O B-b | I-b", "B-a-b I-c-b O B-b | B-b", 100.0, 57.14285714285715),
    ("O O | O", "O O | O", 0.0, 0.0),
    ("B-PER O | B-PER", "O O | O", 0.0, 0.0),
    ("N/N N S\\NP . | (S\\NP)/NP N .", "N/N N S\\NP . | (S\\NP)/NP N/N N", 72.72727272727272, 88.8888888888889),
    (". .-A B- B | I E", "B .-A B- B | I O", 75.0, 57.14285714285715),
]

UPOS = ["NOUN", "ADJ", "SCONJ", "CCONJ", "SYM", "INTJ", "X", "PUNCT"]
IOB = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
sentences = st.sampled_from([UPOS, IOB]).flatmap(
    lambda tags: st.lists(st.lists(st.sampled_from(tags), min_size=1, max_size=6), min_size=1, max_size=4)
)


def split(text: str) -> list[list[str]]:
    return [sentence.split() for sentence in text.split(" | ")]


@pytest.mark.parametrize(("gold", "predicted", "old", "new"), GOLDEN)
def test_both_versions_to_the_digit(gold: str, predicted: str, old: float, new: float) -> None:
    assert chunk_f1(split(gold), split(predicted), OLD) == old
    assert chunk_f1(split(gold), split(predicted), NEW) == new


def reference(sentence: list[str]) -> set[tuple[str, int, int]]:
    """Chunks of an IOB2 sentence, by its textbook reading."""
    chunks, at = set(), 0
    while at < len(sentence):
        end = at + 1
        if sentence[at] != "O":
            kind = sentence[at][2:]
            while end < len(sentence) and sentence[end] == f"I-{kind}":
                end += 1
            chunks.add((kind, at, end))
        at = end
    return chunks


@given(st.data())
def test_iob_chunks_are_the_textbooks(data: st.DataObject) -> None:
    gold = data.draw(st.lists(st.lists(st.sampled_from(IOB), min_size=1, max_size=6), min_size=1, max_size=4))
    predicted = [data.draw(st.lists(st.sampled_from(IOB), min_size=len(s), max_size=len(s))) for s in gold]
    pairs = [(reference(g), reference(p)) for g, p in zip(gold, predicted, strict=True)]
    right, there, found = (sum(map(len, sets)) for sets in zip(*((g & p, g, p) for g, p in pairs), strict=True))
    expected = 200 * right / (there + found) if right else 0
    assert chunk_f1(gold, predicted, OLD) == pytest.approx(expected)
    assert chunk_f1(gold, predicted, NEW) == pytest.approx(expected)


@given(sentences, st.randoms(use_true_random=False))
def test_sentences_are_scored_by_themselves(gold: list[list[str]], random) -> None:
    """Neither their order nor a chunk next door makes a difference, and what is right is right."""
    predicted = [random.sample(sentence, len(sentence)) for sentence in gold]
    order = random.sample(range(len(gold)), len(gold))
    for version in (OLD, NEW):
        there = chunk_f1(gold, gold, version)
        assert there in (0, 100)
        shuffled = chunk_f1([gold[i] for i in order], [predicted[i] for i in order], version)
        assert shuffled == chunk_f1(gold, predicted, version)
        assert chunk_f1(gold * 3, predicted * 3, version) == pytest.approx(shuffled)


def test_token_accuracy() -> None:
    assert token_accuracy([["A", "B"], ["C"]], [["A", "C"], ["C"]]) == pytest.approx(200 / 3)


def test_columns_of_a_table_will_do() -> None:
    rows = [[["B-A", "O"]], [["O"], ["I-A", "I-A"]]]
    column = pa.chunked_array([pa.array(chunk, pa.list_(pa.string())) for chunk in rows])
    assert chunk_f1(column, column, OLD) == 100
    assert chunk_f1(column.slice(1), column.slice(1), NEW) == 100
    assert token_accuracy(column.slice(1, 1), [["B-A"]]) == 0


def test_no_sentence_is_no_score() -> None:
    assert math.isnan(chunk_f1([], [], OLD))
    assert math.isnan(token_accuracy([], []))


@pytest.mark.parametrize("score", [token_accuracy, lambda g, p: chunk_f1(g, p, OLD)])
def test_what_does_not_match_up_is_refused(score) -> None:
    with pytest.raises(ValueError, match="sentence 1: 1 tags predicted for 2 words"):
        score([["A"], ["A", "B"]], [["A"], ["A"]])
    with pytest.raises(ValueError, match="1 sentences predicted for 2 gold ones"):
        score([["A"], ["A", "B"]], [["A"]])


@pytest.mark.parametrize(("task", "mean"), [("panx", 57.50793650793652), ("udpos", 70.21746048354693)])
def test_xtremes_own_regression_values(slices: Path, task: str, mean: float) -> None:
    """The mean F1 over languages that XTREME's test of its evaluation expects of its mock submission."""
    folder = slices / "fixtures/xtreme_mock"
    scores = []
    for path in sorted((folder / "labels" / task).glob("*.tsv")):
        gold, predicted = (tags(folder / kind / task / path.name) for kind in ("labels", "predictions"))
        scores.append(chunk_f1(gold, predicted, OLD))
    assert sum(scores) / len(scores) == pytest.approx(mean, abs=1e-12)


def tags(path: Path) -> list[list[str]]:
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [block.split("\n") for block in blocks]
