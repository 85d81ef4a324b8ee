from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from xstilts.data.batches import Features
from xstilts.formats.base import Limits
from xstilts.formats.tagging import Tagging
from xstilts.task import Task

FORM = Tagging()
TASK = Task("pos", "tagging", labels=["NOUN", "VERB", "X"], metric="f1")
PART = ("en", "dev")
Row = tuple[list[str], list[str]]


def table(rows: list[Row]) -> pa.Table:
    tokens, tags = zip(*rows, strict=True)
    return pa.table([[f"i{n}" for n in range(len(rows))], list(tokens), list(tags)], schema=FORM.columns)


ROWS: list[Row] = [
    (["the", "dog", "ran"], ["X", "NOUN", "VERB"]),
    (["rain"], ["NOUN"]),
    (
        ["xyz", "\u200b", "saw", "Ω", "raining", "in", "London", "."],
        ["NOUN", "X", "VERB", "X", "VERB", "X", "NOUN", "X"],
    ),
]

word = st.sampled_from(["cat", "raining", "xyz", "\u200b", "Ω", "\u200bdog", "a b", "abcdefghijkl", " ", "..."])
sentence = st.lists(st.tuples(word, st.sampled_from(TASK.labels)), min_size=1, max_size=9).map(
    lambda pairs: ([p[0] for p in pairs], [p[1] for p in pairs])
)


def flat(lists: Iterable[list]) -> list:
    return list(chain.from_iterable(lists))


def units(features: Features) -> list[tuple[list[int], list[int]]]:
    """Tokens and labels of every unit."""
    labels = features.fields["labels"][1]
    return [(features.tokens[a:b].tolist(), labels[a:b].tolist()) for a, b in pairwise(features.starts)]


@given(st.lists(sentence, min_size=1, max_size=4), st.integers(4, 30))
def test_every_word_has_one_place_and_nothing_is_lost(
    tokenizer: PreTrainedTokenizerBase, rows: list[Row], max_length: int
) -> None:
    features = FORM.features(table(rows), TASK, tokenizer, Limits(max_length))
    room, unknown, cut = max_length - 2, tokenizer.unk_token_id, 0
    for row, (words, tags) in enumerate(rows):
        own, labels = [], []
        for one, tag in zip(words, tags, strict=True):
            pieces = tokenizer(one, add_special_tokens=False)["input_ids"]
            if not 0 < len(pieces) <= room:
                cut += len(pieces)
                pieces = [unknown]
            own.append(pieces)
            labels += [TASK.labels.index(tag)] + [-100] * (len(pieces) - 1)
        found = [units(features)[unit] for unit in np.flatnonzero(features.item == row)]
        assert all(tokens[0] == 0 and tokens[-1] == 2 and len(tokens) <= max_length for tokens, _ in found)
        assert all(of[0] == of[-1] == -100 for _, of in found)
        assert flat(tokens[1:-1] for tokens, _ in found) == flat(own)
        assert flat(of[1:-1] for _, of in found) == labels
        for (tokens, _), (_, after) in pairwise(found):  # cut between words, and only where the next has no room
            assert after[1] != -100
            following = next(n for n, label in enumerate([*after[2:-1], 0], 1) if label != -100)
            assert len(tokens) + following > max_length
    assert features.cut == cut
    assert np.all(np.diff(features.item) >= 0)
    assert set(features.item) == set(range(len(rows)))


@given(st.lists(sentence, min_size=1, max_size=4), st.integers(4, 30), st.data())
def test_predictions_are_whole_again(
    tokenizer: PreTrainedTokenizerBase, rows: list[Row], max_length: int, data: st.DataObject
) -> None:
    items = table(rows)
    features = FORM.features(items, TASK, tokenizer, Limits(max_length))
    said = [data.draw(st.lists(st.integers(0, 2), min_size=len(words), max_size=len(words))) for words, _ in rows]
    best = np.full(len(features.tokens), 1)  # at the places that do not count
    best[features.fields["labels"][1] != -100] = flat(said)
    found = FORM.decode({PART: {"best": best}}, {PART: features}, {PART: items}, TASK)[PART]
    assert found["prediction"].to_pylist() == [[TASK.labels[code] for code in codes] for codes in said]
    assert found["gold"].to_pylist() == [tags for _, tags in rows]
    assert found["id"].to_pylist() == [f"i{n}" for n in range(len(rows))]


def test_decode_follows_the_features_items(tokenizer: PreTrainedTokenizerBase) -> None:
    """Units may come in another order than the items; those of one item keep theirs."""
    items = table([ROWS[1], ROWS[0]])
    features = FORM.features(table([ROWS[0], ROWS[1]]), TASK, tokenizer, Limits(4))
    assert features.item.tolist() == [0, 0, 1]
    features.item = np.array([1, 1, 0])
    best = features.fields["labels"][1]
    found = FORM.decode({PART: {"best": best}}, {PART: features}, {PART: items}, TASK)[PART]
    assert found["prediction"].to_pylist() == [["NOUN"], ["X", "NOUN", "VERB"]]


def test_what_cannot_be_an_item_is_named() -> None:
    with pytest.raises(ValueError, match="item 'i1': pos has no label 'VREB'; did you mean 'VERB'"):
        FORM.check(table([ROWS[0], (["ran", "cat"], ["NOUN", "VREB"])]), TASK)
    with pytest.raises(ValueError, match="item 'i1' has 2 tokens and 1 tags"):
        FORM.check(table([ROWS[0], (["ran", "cat"], ["NOUN"])]), TASK)
    with pytest.raises(ValueError, match="item 'i0' has 0 tokens and 0 tags"):
        FORM.check(table([([], [])]), TASK)
    FORM.check(table(ROWS), TASK)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_step_changes_nothing(run, seed: int) -> None:
    step = run(FORM, TASK, table(ROWS * 3), max_length=8)
    everything = np.arange(len(step.features))
    loss, gradient = step.gradient([everything])
    cut_loss, cut_gradient = step.gradient(step.cut(seed))
    torch.testing.assert_close(cut_loss, loss)
    torch.testing.assert_close(cut_gradient, gradient, atol=1e-6, rtol=1e-5)


def test_the_loss_has_one_term_a_word(run) -> None:
    step = run(FORM, TASK, table(ROWS))
    batch = step.batch(np.arange(3))
    hidden = step.encoder(batch.tokens, batch.starts)
    loss, count = FORM.loss(step.head, hidden, batch)
    places = [at for at, label in enumerate(batch.fields["labels"].tolist()) if label != -100]
    codes = [TASK.labels.index(tag) for _, tags in ROWS for tag in tags]
    terms = step.head(hidden).log_softmax(-1)[places, codes]
    torch.testing.assert_close(loss, -terms.sum())
    assert count == len(codes) == 12


@pytest.mark.parametrize("seed", range(4))
def test_predictions_are_in_item_order_however_they_were_computed(run, seed: int) -> None:
    items = table(ROWS)
    step = run(FORM, TASK, items, max_length=6)
    found = FORM.decode({PART: step.outputs(step.cut(seed))}, {PART: step.features}, {PART: items}, TASK)[PART]
    whole = [step.outputs([np.array([unit])])["best"] for unit in range(len(step.features))]
    best = np.max(whole, axis=0)  # outputs of other units are 0
    word = step.features.fields["labels"][1] != -100
    assert flat(found["prediction"].to_pylist()) == [TASK.labels[code] for code in best[word]]
    assert len(set(best[word])) > 1


def test_scores() -> None:
    gold = [["NOUN", "NOUN", "VERB", "X"], ["X"]]
    predicted = pa.table({"id": ["a", "b"], "prediction": [["NOUN", "VERB", "VERB", "X"], ["X"]], "gold": gold})
    scores = FORM.score({("en", "dev"): predicted, ("sw", "test"): predicted.slice(0, 0)}, TASK)
    assert [(s.metric, s.version) for s in scores[:3]] == [
        ("f1", "seqeval-0.0.12"),
        ("f1_seqeval_1.2.2", "seqeval-1.2.2"),
        ("accuracy", "token"),
    ]
    # Chunks of gold: NOUN, VERB, X, X; predicted: NOUN, VERB, X, X; right: both X. In 1.2.2 the two X are no chunks.
    assert [s.value for s in scores[:3]] == [50, 0, 80]
    assert [s.count for s in scores] == [2, 2, 2, 0, 0, 0]
    assert all(math.isnan(s.value) for s in scores[3:])


def test_a_prediction_that_is_not_aligned_is_refused() -> None:
    predicted = pa.table({"id": ["a"], "prediction": [["NOUN"]], "gold": [["NOUN", "VERB"]]})
    with pytest.raises(ValueError, match="sentence 0: 1 tags predicted for 2 words"):
        FORM.score({PART: predicted}, TASK)


def test_majority_is_by_the_tasks_metric() -> None:
    rows = table([(["a", "b", "c", "d"], ["O", "O", "B-PER", "O"])])
    labels = ["O", "B-PER"]
    assert FORM.majority(rows, Task("ner", "tagging", labels=labels, metric="f1")) == 0
    assert FORM.majority(rows, Task("ner", "tagging", labels=labels, metric="accuracy")) == 75
    bare = table([(["a", "b", "c"], ["NOUN", "VERB", "NOUN"]), (["a"], ["NOUN"])])
    assert FORM.majority(bare, TASK) == pytest.approx(100 * 2 * 1 / (2 + 4))  # of 2 and 4 chunks the last is right


@pytest.mark.parametrize(
    "treebank", ["UD_Thai-PUD", "UD_Telugu-MTG", "UD_Chinese-GSD", "UD_Urdu-UDTB", "UD_Kazakh-KTB"]
)
def test_real_sentences_lose_nothing(slices: Path, xlmr: PreTrainedTokenizerBase, treebank: str) -> None:
    path = next((slices / "ud" / treebank).glob("*-test.conllu"))
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    lines = [[line.split("\t") for line in block.split("\n") if line.split("\t")[0].isdigit()] for block in blocks]
    rows = [([line[1] for line in block], [line[3] for line in block]) for block in lines]
    upos = sorted({tag for _, tags in rows for tag in tags})
    task = Task("udpos", "tagging", labels=upos, metric="f1")
    features = FORM.features(table(rows), task, xlmr, Limits(16))
    assert features.cut == 0
    assert np.diff(features.starts).max() <= 16
    assert len(features) > len(rows)
    outputs = {"best": features.fields["labels"][1]}
    found = FORM.decode({PART: outputs}, {PART: features}, {PART: table(rows)}, task)
    assert found[PART]["prediction"].to_pylist() == [tags for _, tags in rows]
    assert [score.value for score in FORM.score(found, task)] == [100, 100, 100]
    for row, (words, _) in enumerate(rows[:20]):  # a word is read as by itself
        own = flat(xlmr(one, add_special_tokens=False)["input_ids"] or [3] for one in words)
        if len(own) <= 14:
            unit = np.flatnonzero(features.item == row)
            assert features.tokens[features.starts[unit[0]] : features.starts[unit[-1] + 1]].tolist() == [0, *own, 2]
