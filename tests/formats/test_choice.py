from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from xstilts.formats.base import Limits
from xstilts.formats.choice import Choice
from xstilts.task import Task

FORM = Choice()
TASK = Task("choices", "choice", metric="accuracy")
PART = ("en", "dev")
Row = tuple[str, str, list[str], int]


def table(rows: list[Row]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table([[f"i{n}" for n in range(len(rows))], *columns], schema=FORM.columns)


ROWS: list[Row] = [
    ("the cat sat on the mat because it was raining", "what ran?", ["the dog", "rain", "a cat in paris"], 2),
    ("", "who saw the rain?", ["the cat", "the dog"], 0),
    ("the rain was cold so", "", ["it ran", "it sat on the warm mat", "the dog", "who", "not"], 4),
    ("it was warm", "what was the cause?", ["the mat", "london"], 1),
]


def sequences(features, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    bounds = zip(features.starts[:-1], features.starts[1:], strict=True)
    return [tokenizer.decode(features.tokens[a:b], clean_up_tokenization_spaces=False) for a, b in bounds]


def test_every_choice_is_read_with_what_it_answers(tokenizer: PreTrainedTokenizerBase) -> None:
    features = FORM.features(table(ROWS), TASK, tokenizer, Limits(32))
    first = "the cat sat on the mat because it was raining"
    asked = ["what ran? the dog", "what ran? rain", "what ran? a cat in paris"]
    own = [tokenizer([first], [text])["input_ids"][0] for text in asked]
    own += [tokenizer(["who saw the rain?"], [text])["input_ids"][0] for text in ("the cat", "the dog")]
    own += [tokenizer(["the rain was cold so"], [text])["input_ids"][0] for text in ROWS[2][2]]
    own += [tokenizer(["it was warm"], [f"what was the cause? {text}"])["input_ids"][0] for text in ROWS[3][2]]
    assert [features.tokens[a:b].tolist() for a, b in zip(features.starts, features.starts[1:], strict=False)] == own
    assert features.units.tolist() == [0, 3, 5, 10, 12]
    assert features.fields["labels"][1].tolist() == [2, 0, 4, 1]
    assert features.cut == 0


def test_choices_by_themselves(tokenizer: PreTrainedTokenizerBase) -> None:
    features = FORM.features(table([("", "", ["the cat", "a dog"], 0)]), TASK, tokenizer, Limits(32))
    assert features.tokens.tolist() == [*tokenizer("the cat")["input_ids"], *tokenizer("a dog")["input_ids"]]


words = st.lists(st.sampled_from(["the", "cat", "dog", "xyz"]), max_size=8).map(" ".join)


@given(
    st.lists(st.tuples(words, words, st.lists(words, min_size=2, max_size=4), st.just(0)), min_size=1, max_size=3),
    st.integers(6, 24),
)
def test_the_context_gives_first_and_nothing_is_lost_uncounted(
    tokenizer: PreTrainedTokenizerBase, rows: list[Row], max_length: int
) -> None:
    whole = FORM.features(table(rows), TASK, tokenizer, Limits(1000))
    short = FORM.features(table(rows), TASK, tokenizer, Limits(max_length))
    assert whole.cut == 0
    assert short.cut == len(whole.tokens) - len(short.tokens)
    for s in range(len(whole.starts) - 1):
        full = whole.tokens[whole.starts[s] : whole.starts[s + 1]].tolist()
        kept = short.tokens[short.starts[s] : short.starts[s + 1]].tolist()
        if len(full) <= max_length:
            assert kept == full
            continue
        assert len(kept) == max_length
        answer = full[max(at for at, token in enumerate(full[:-1]) if token in (0, 2)) + 1 :]  # question, choice, </s>
        assert kept[-min(len(answer), max_length - 3) :] == answer[-min(len(answer), max_length - 3) :]
        context = full[1 : full.index(2)]
        assert kept[1 : kept.index(2)] == context[: max(max_length - 3 - len(answer), 0)] or 2 not in full[:-1]


def test_what_cannot_be_an_item_is_named() -> None:
    with pytest.raises(ValueError, match="item 'i1' has the label 2; its choices are 0, 1"):
        FORM.check(table([ROWS[0], ("", "who", ["a", "b"], 2)]), TASK)
    with pytest.raises(ValueError, match="item 'i0' has the label -1"):
        FORM.check(table([("", "who", ["a", "b"], -1)]), TASK)
    with pytest.raises(ValueError, match="item 'i0' has 1 choices, not two or more"):
        FORM.check(table([("", "who", ["a"], 0)]), TASK)
    two = Task("copa", "choice", options={"choices": 2})
    with pytest.raises(ValueError, match="item 'i1' has 3 choices, not 2"):
        FORM.check(table([ROWS[1], ROWS[0]]), two)
    FORM.check(table(ROWS), TASK)
    FORM.check(table([ROWS[1], ROWS[3]]), two)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_step_changes_nothing(run, seed: int) -> None:
    step = run(FORM, TASK, table(ROWS * 2))
    loss, gradient = step.gradient([np.arange(8)])
    cut_loss, cut_gradient = step.gradient(step.cut(seed))
    torch.testing.assert_close(cut_loss, loss)
    torch.testing.assert_close(cut_gradient, gradient, atol=1e-6, rtol=1e-5)


def test_the_loss_and_its_gradient_are_cross_entropys_over_the_units_own_choices(run) -> None:
    step = run(FORM, TASK, table(ROWS))
    batch = step.batch(np.array([2, 0, 3]))
    hidden = step.encoder(batch.tokens, batch.starts).detach().requires_grad_()
    loss, count = FORM.loss(step.head, hidden, batch)
    scores = step.head(hidden[batch.starts[:-1]]).flatten().split([5, 3, 2])
    expected = sum(
        F.cross_entropy(own[None], torch.tensor([label])) for own, label in zip(scores, [4, 2, 1], strict=True)
    )
    torch.testing.assert_close(loss, expected)
    assert count == 3
    torch.testing.assert_close(torch.autograd.grad(loss, hidden)[0], torch.autograd.grad(expected, hidden)[0])


def test_large_scores_do_not_overflow(run) -> None:
    step = run(FORM, TASK, table(ROWS))
    torch.nn.init.constant_(step.head.out_proj.weight, 1e4)
    probabilities = step.outputs([np.arange(4)])["probabilities"]
    assert np.isfinite(probabilities).all()
    assert np.add.reduceat(probabilities, step.features.units[:-1]) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_predictions_are_in_item_order_however_they_were_computed(run, seed: int) -> None:
    items = table(ROWS)
    step = run(FORM, TASK, items)
    found = FORM.decode({PART: step.outputs(step.cut(seed))}, {PART: step.features}, {PART: items}, TASK)[PART]
    for row in range(len(ROWS)):
        alone = step.outputs([np.array([row])])["probabilities"][slice(*step.features.units[row : row + 2])]
        assert found["prediction"][row].as_py() == alone.argmax()
        assert found["confidence"][row].as_py() == pytest.approx(alone.max(), rel=1e-5)
    assert found["gold"].to_pylist() == [2, 0, 4, 1]
    assert len(set(found["prediction"].to_pylist())) > 1


def test_decode_follows_the_features_items(tokenizer: PreTrainedTokenizerBase) -> None:
    """Features may hold the items in another order than the table."""
    features = FORM.features(table([ROWS[1], ROWS[0]]), TASK, tokenizer, Limits(32))
    features.item = np.array([1, 0])
    items = table([ROWS[0], ROWS[1]])
    outputs = {"probabilities": np.array([0.4, 0.6, 0.1, 0.2, 0.7])}
    found = FORM.decode({PART: outputs}, {PART: features}, {PART: items}, TASK)[PART]
    assert found["prediction"].to_pylist() == [2, 1]
    assert found["confidence"].to_pylist() == pytest.approx([0.7, 0.6])


def test_scores_and_majority() -> None:
    predicted = pa.table({"id": ["a", "b", "c", "d"], "prediction": [0, 1, 1, 3], "gold": [0, 1, 0, 3]})
    full, empty = FORM.score({("en", "dev"): predicted, ("sw", "test"): predicted.slice(0, 0)}, TASK)
    assert (full.metric, full.value, full.count) == ("accuracy", 75, 4)
    assert math.isnan(empty.value)
    assert empty.count == 0
    assert FORM.majority(table(ROWS), TASK) == 25


def test_real_cosmos_qa(slices: Path, xlmr: PreTrainedTokenizerBase) -> None:
    with (slices / "cosmosqa/valid.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))[:40]
    rows = [(r["context"], r["question"], [r[f"answer{n}"] for n in range(4)], int(r["label"])) for r in read]
    task = Task("cosmosqa", "choice", options={"choices": 4})
    FORM.check(table(rows), task)
    features = FORM.features(table(rows), task, xlmr, Limits(64))
    assert np.diff(features.starts).max() == 64
    assert np.diff(features.units).tolist() == [4] * 40
    assert features.cut > 0
    for s, text in enumerate(sequences(features, xlmr)):  # every choice is whole
        answer = xlmr.decode(xlmr(rows[s // 4][2][s % 4], add_special_tokens=False)["input_ids"])
        assert text.endswith(f"{answer}</s>")
