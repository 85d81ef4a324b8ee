from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaLMHead

from xstilts.data.batches import gather
from xstilts.errors import UserError
from xstilts.formats.base import Limits
from xstilts.formats.mlm import MaskedLanguageModel
from xstilts.task import Task

FORM = MaskedLanguageModel()
TASK = Task("text", "mlm", metric="accuracy")
PART = ("en", "dev")
TEXTS = ["the cat sat on the mat", "", "it was raining in paris so the dog ran", "xyz Ω abc", "who saw the cold rain?"]


def table(texts: list[str]) -> pa.Table:
    return pa.table([[f"i{n}" for n in range(len(texts))], texts], schema=FORM.columns)


def often(**options: float | bool) -> Task:
    """A task that masks so much that few units go without."""
    return Task("text", "mlm", metric="accuracy", options={"mask_rate": 0.5, **options})


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5), st.integers(3, 20))
def test_long_texts_are_cut_and_nothing_is_lost(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int
) -> None:
    features = FORM.features(table(texts), TASK, tokenizer, Limits(max_length))
    found = [features.tokens[a:b].tolist() for a, b in pairwise(features.starts)]
    assert all(tokens[0] == 0 and tokens[-1] == 2 and len(tokens) <= max_length for tokens in found)
    for row, text in enumerate(texts):
        own = [found[unit] for unit in np.flatnonzero(features.item == row)]
        assert [token for tokens in own for token in tokens[1:-1]] == tokenizer(text, add_special_tokens=False)[
            "input_ids"
        ]
        assert len({len(tokens) for tokens in own[:-1]} - {max_length}) == 0
    assert features.cut == 0
    assert np.all(np.diff(features.item) >= 0)


def masked(tokenizer: PreTrainedTokenizerBase, task: Task, texts: list[str], seed: int):
    features = FORM.features(table(texts), task, tokenizer, Limits(128))
    batch = gather(features, np.arange(len(features)))
    return batch, FORM.corrupt(batch, tokenizer, np.random.default_rng(seed))


def test_masking_is_bert_s(tokenizer: PreTrainedTokenizerBase) -> None:
    before, after = masked(tokenizer, TASK, ["the cat saw Ω " * 30] * 500, seed=1)
    special = torch.isin(before.tokens, torch.tensor(tokenizer.all_special_ids))
    labels = after.fields["labels"]
    chosen = labels != -100
    assert not (chosen & special).any()
    assert torch.equal(labels[chosen], before.tokens[chosen])
    assert torch.equal(after.tokens[~chosen], before.tokens[~chosen])
    assert chosen[~special].float().mean().item() == pytest.approx(0.15, abs=0.005)
    hidden = after.tokens[chosen] == tokenizer.mask_token_id
    other = ~hidden & (after.tokens[chosen] != before.tokens[chosen])
    ordinary = len(tokenizer) - 5
    assert hidden.float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert other.float().mean().item() == pytest.approx(0.1 * (1 - 1 / ordinary), abs=0.015)
    drawn = Counter(after.tokens[chosen][other].tolist())
    assert set(drawn) == set(range(len(tokenizer))) - set(tokenizer.all_special_ids)  # each of them, no other
    assert max(drawn.values()) < 3 * sum(drawn.values()) / ordinary


def test_masking_is_a_pure_function_of_units_and_generator(tokenizer: PreTrainedTokenizerBase) -> None:
    first, again, other = (masked(tokenizer, TASK, TEXTS * 20, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.fields["labels"], again.fields["labels"])
    assert not torch.equal(first.fields["labels"], other.fields["labels"])


def test_places_are_masked_independently(tokenizer: PreTrainedTokenizerBase) -> None:
    """Over units, over places in a unit and over draws, no two go together."""
    length = 40
    patterns = []
    for seed in range(20):
        labels = masked(tokenizer, often(), ["cat " * length] * 50, seed)[1].fields["labels"]
        patterns.append((labels != -100).view(50, length + 2)[:, 1:-1].double())
    chosen = torch.stack(patterns)  # draws, units, places
    for axis in range(3):
        rows = chosen.movedim(axis, 0).flatten(1)
        off = torch.corrcoef(rows).fill_diagonal_(0).abs().max().item()
        assert off < 5 / math.sqrt(rows.shape[1])


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_is_masked_alike_in_any_company(run, seed: int) -> None:
    step = run(FORM, often(), table(TEXTS * 3), max_length=8)
    whole = step.batch(np.arange(len(step.features)))
    for index in step.cut(seed):
        batch = step.batch(index)
        places, _ = step.places("token", index)
        assert torch.equal(batch.tokens, whole.tokens[places])
        assert torch.equal(batch.fields["labels"], whole.fields["labels"][places])


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_step_changes_nothing(run, seed: int) -> None:
    step = run(FORM, often(), table(TEXTS * 3), max_length=8)
    loss, gradient = step.gradient([np.arange(len(step.features))])
    cut_loss, cut_gradient = step.gradient(step.cut(seed))
    torch.testing.assert_close(cut_loss, loss)
    torch.testing.assert_close(cut_gradient, gradient, atol=1e-5, rtol=1e-5)


def test_frequent_tokens_are_chosen_less_often(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["the " * 990 + "cat " * 9 + "dog"]
    features = FORM.features(table(texts), often(frequency_weighted=True), tokenizer, Limits(2000))
    rate = features.fields["rate"][1]
    assert rate[[0, -1]].tolist() == [0, 0]
    expected = {0.99: rate[1], 0.009: rate[991], 0.001: rate[1000]}
    for share, found in expected.items():
        assert found == pytest.approx(0.5 * min(1, math.sqrt(0.0015 / share)), rel=1e-5)


def test_an_unknown_option_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    task = Task("text", "mlm", options={"frequency_weigted": True})
    with pytest.raises(UserError, match="unknown option 'frequency_weigted'; did you mean 'frequency_weighted'"):
        FORM.features(table(TEXTS), task, tokenizer, Limits(32))


def test_the_loss_is_over_chosen_tokens_only(run) -> None:
    step = run(FORM, often(), table(TEXTS))
    batch = step.batch(np.arange(len(step.features)))
    hidden = step.encoder(batch.tokens, batch.starts)
    loss, count = FORM.loss(step.head, hidden, batch)
    everywhere = F.cross_entropy(step.head(hidden), batch.fields["labels"], reduction="sum")  # passes over -100
    torch.testing.assert_close(loss, everywhere)
    assert count == (batch.fields["labels"] != -100).sum() > 0


def test_a_batch_without_a_chosen_token_has_no_loss(run) -> None:
    step = run(FORM, TASK, table([""]))
    loss, count = FORM.loss(step.head, torch.zeros(2, 16, requires_grad=True), step.batch(np.array([0])))
    assert (loss.item(), count.item()) == (0, 0)
    loss.backward()


def test_the_head_is_stock_xlm_r_tied_and_saved_once(encoder) -> None:
    head = FORM.head(TASK, encoder)
    config = SimpleNamespace(hidden_size=16, layer_norm_eps=1e-5, vocab_size=encoder.vocabulary)
    stock = XLMRobertaLMHead(config)
    assert set(head.state_dict()) == set(stock.state_dict()) - {"decoder.weight", "decoder.bias"}
    stock.load_state_dict(head.state_dict(), strict=False)
    stock.decoder.weight, stock.decoder.bias = encoder.embeddings.weight, stock.bias
    states = torch.randn(5, 16)
    torch.testing.assert_close(head(states), stock(states))
    head(states).sum().backward()
    assert encoder.embeddings.weight.grad.abs().sum() > 0
    assert all(parameter is not encoder.embeddings.weight for parameter in head.parameters())


def test_the_head_follows_the_embeddings_wherever_they_go(encoder) -> None:
    head = FORM.head(TASK, encoder).double()
    encoder.double()
    with torch.no_grad():
        encoder.embeddings.weight.zero_()
    assert head(torch.randn(2, 16).double()).abs().max() == 0


@pytest.mark.parametrize("bias", ["bias", "decoder.bias"])
def test_a_pretrained_head_is_taken_over(encoder, bias: str) -> None:
    source = FORM.head(TASK, encoder)
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    state = source.state_dict()
    state[bias] = state.pop("bias")
    encoder.left = {f"lm_head.{name}": values for name, values in state.items()}
    encoder.left |= {"lm_head.decoder.weight": encoder.embeddings.weight.detach(), "pooler.dense.bias": torch.zeros(16)}
    found = FORM.head(TASK, encoder).state_dict()
    assert all(torch.equal(found[name], values) for name, values in source.state_dict().items())
    del encoder.left["lm_head.dense.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*dense\.weight"):
        FORM.head(TASK, encoder)


@pytest.mark.parametrize("seed", range(4))
def test_predictions_are_in_item_order_however_they_were_computed(run, seed: int) -> None:
    items = table(TEXTS)
    step = run(FORM, often(), items, max_length=8)
    found = FORM.decode({PART: step.outputs(step.cut(seed))}, {PART: step.features}, {PART: items}, TASK)[PART]
    labels = step.batch(np.arange(len(step.features))).fields["labels"].numpy()
    item = np.repeat(step.features.item, step.features.lengths)
    gold = [labels[(item == row) & (labels != -100)].tolist() for row in range(len(TEXTS))]
    assert found["gold"].to_pylist() == gold
    assert [len(ids) for ids in found["prediction"].to_pylist()] == [len(ids) for ids in gold]
    accuracy, loss = FORM.score({PART: found}, TASK)
    assert (accuracy.metric, accuracy.count, loss.metric) == ("accuracy", len(TEXTS), "loss")
    right = [p == g for row in found.to_pylist() for p, g in zip(row["prediction"], row["gold"], strict=True)]
    assert accuracy.value == pytest.approx(100 * np.mean(right))
    step.encoder.eval()
    assert loss.value == pytest.approx(step.gradient([np.arange(len(step.features))])[0].item(), rel=1e-5)


def test_nothing_chosen_is_no_score(run) -> None:
    items = table(["", ""])
    step = run(FORM, TASK, items)
    found = FORM.decode({PART: step.outputs([np.arange(2)])}, {PART: step.features}, {PART: items}, TASK)
    assert found[PART]["prediction"].to_pylist() == [[], []]
    assert all(math.isnan(score.value) for score in FORM.score(found, TASK))
    assert FORM.majority(items, TASK) is None
