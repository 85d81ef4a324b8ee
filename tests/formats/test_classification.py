from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaClassificationHead

from xstilts.formats.base import Limits
from xstilts.formats.classification import Classification
from xstilts.task import Task

FORM = Classification()
TASK = Task("nli", "classification", labels=["entailment", "neutral", "contradiction"], metric="accuracy")
PART = ("en", "dev")
text = st.lists(
    st.sampled_from(["the", "cat", "dog", "sat", "Ω", "xyz", "\u200b", "raining", "mat."]), max_size=12
).map(" ".join)


def table(rows: list[tuple[str, str | None, str]]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table([[f"i{n}" for n in range(len(rows))], *columns], schema=FORM.columns)


ROWS = [
    ("the cat sat", "a dog ran on the mat", "neutral"),
    ("it was raining", None, "contradiction"),
    ("a", "", "entailment"),
    ("who saw the dog in paris?", "because", "neutral"),
    ("the warm rain", "the cold rain in london", "contradiction"),
]


@given(
    st.lists(st.tuples(text, st.none() | text, st.sampled_from(TASK.labels)), min_size=1, max_size=4),
    st.integers(5, 20),
)
def test_sequences_are_the_tokenizers_own(
    tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, str | None, str]], max_length: int
) -> None:
    features = FORM.features(table(rows), TASK, tokenizer, Limits(max_length))
    lost = 0
    for row, (a, b, _) in enumerate(rows):
        texts = [[a]] if b is None else [[a], [b]]
        own = tokenizer(*texts, truncation="longest_first", max_length=max_length)["input_ids"][0]
        assert features.tokens[features.starts[row] : features.starts[row + 1]].tolist() == own
        lost += len(tokenizer(*texts)["input_ids"][0]) - len(own)
    assert features.cut == lost
    assert features.units.tolist() == list(range(len(rows) + 1))
    assert features.item.tolist() == list(range(len(rows)))
    assert [TASK.labels[code] for code in features.fields["labels"][1]] == [row[2] for row in rows]


def test_a_label_the_task_does_not_know_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    wrong = table([*ROWS, ("a", "b", "entailed")])
    message = "item 'i5': nli has no label 'entailed'; did you mean 'entailment'. valid choices: contradiction, ent"
    with pytest.raises(ValueError, match=message):
        FORM.check(wrong, TASK)
    with pytest.raises(ValueError, match=message):
        FORM.features(wrong, TASK, tokenizer, Limits(32))
    FORM.check(table(ROWS), TASK)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_step_changes_nothing(run, seed: int) -> None:
    step = run(FORM, TASK, table(ROWS * 2))
    loss, gradient = step.gradient([np.arange(10)])
    cut_loss, cut_gradient = step.gradient(step.cut(seed))
    torch.testing.assert_close(cut_loss, loss)
    torch.testing.assert_close(cut_gradient, gradient, atol=1e-6, rtol=1e-5)


def test_the_loss_is_cross_entropy_of_the_label(run) -> None:
    step = run(FORM, TASK, table(ROWS))
    probabilities = step.outputs([np.arange(5)])["probabilities"]
    expected = -np.log(probabilities[range(5), [TASK.labels.index(row[2]) for row in ROWS]]).mean()
    assert step.gradient([np.arange(5)])[0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_predictions_are_in_item_order_however_they_were_computed(run, seed: int) -> None:
    items = table(ROWS)
    step = run(FORM, TASK, items)
    found = FORM.decode({PART: step.outputs(step.cut(seed))}, {PART: step.features}, {PART: items}, TASK)[PART]
    for row in range(len(ROWS)):
        alone = step.outputs([np.array([row])])["probabilities"][row]
        assert found["prediction"][row].as_py() == TASK.labels[alone.argmax()]
        assert found["confidence"][row].as_py() == pytest.approx(alone.max(), rel=1e-5)
    assert found["id"].to_pylist() == [f"i{n}" for n in range(5)]
    assert found["gold"].to_pylist() == [row[2] for row in ROWS]
    assert len(set(found["confidence"].to_pylist())) == len(ROWS)  # or the order would not show


def test_decode_follows_the_features_items(run) -> None:
    """Features may hold the items in another order than the table."""
    items = table(ROWS[:3])
    features = run(FORM, TASK, items).features
    features.item = np.array([2, 0, 1])
    outputs = {"probabilities": np.eye(3, dtype=np.float32)}
    found = FORM.decode({PART: outputs}, {PART: features}, {PART: items}, TASK)[PART]
    assert found["prediction"].to_pylist() == ["neutral", "contradiction", "entailment"]


def test_the_head_is_stock_xlm_r(encoder) -> None:
    head = FORM.head(TASK, encoder).eval()
    config = SimpleNamespace(
        hidden_size=encoder.hidden_size, hidden_dropout_prob=0.1, classifier_dropout=None, num_labels=len(TASK.labels)
    )
    stock = XLMRobertaClassificationHead(config).eval()
    stock.load_state_dict(head.state_dict())  # the names too
    states = torch.randn(4, 7, encoder.hidden_size)
    assert torch.equal(head(states[:, 0]), stock(states))
    assert head.out_proj.bias.abs().max() == 0
    assert head.dense.weight.std().item() == pytest.approx(encoder.config.initializer_range, rel=0.3)
    head.train()
    assert not torch.equal(head(states[:, 0]), head(states[:, 0]))


def test_scores_and_majority() -> None:
    predicted = pa.table({"id": ["a", "b", "c"], "prediction": ["x", "y", "x"], "gold": ["x", "x", "x"]})
    scores = FORM.score({("en", "dev"): predicted, ("sw", "test"): predicted.slice(0, 0)}, TASK)
    assert [(s.language, s.split, s.metric, s.count) for s in scores] == [
        ("en", "dev", "accuracy", 3),
        ("sw", "test", "accuracy", 0),
    ]
    assert scores[0].value == pytest.approx(200 / 3)
    assert math.isnan(scores[1].value)
    assert FORM.majority(table(ROWS), TASK) == 40


def test_it_learns(run) -> None:
    items = table([row for row in ROWS if row[2] != "neutral"])
    step = run(FORM, TASK, items)
    optimizer = torch.optim.Adam([*step.encoder.parameters(), *step.head.parameters()], lr=0.01)
    for _ in range(60):
        _, gradient = step.gradient([np.arange(items.num_rows)])
        for parameter, slope in zip([*step.encoder.parameters(), *step.head.parameters()], gradient, strict=True):
            parameter.grad = slope
        optimizer.step()
    outputs = step.outputs([np.arange(items.num_rows)])
    predictions = FORM.decode({PART: outputs}, {PART: step.features}, {PART: items}, TASK)
    assert FORM.score(predictions, TASK)[0].value == 100


def test_real_pairs_as_the_real_tokenizer_reads_them(slices: Path, xlmr: PreTrainedTokenizerBase) -> None:
    lines = (slices / "xnli/XNLI-1.0/xnli.test.tsv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]][::20]
    items = table([(row["sentence1"], row["sentence2"], row["gold_label"]) for row in rows])
    features = FORM.features(items, TASK, xlmr, Limits(32))
    assert features.cut > 0
    for at, row in enumerate(rows):
        own = xlmr(row["sentence1"], row["sentence2"], truncation="longest_first", max_length=32)["input_ids"]
        assert features.tokens[features.starts[at] : features.starts[at + 1]].tolist() == own
