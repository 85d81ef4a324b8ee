from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedTokenizerFast, XLMRobertaTokenizer

from xstilts.data.batches import gather, micro_batches
from xstilts.formats import get
from xstilts.formats.base import Limits
from xstilts.task import Task

FORMAT = get("nearest")
TASK = Task("tatoeba", "nearest")
LIMITS = Limits(max_length=512)
PART = ("de", "test")


def table(*pairs: tuple[str, str]) -> pa.Table:
    rows = [{"id": str(i), "source": source, "target": target} for i, (source, target) in enumerate(pairs)]
    return pa.Table.from_pylist(rows, schema=FORMAT.columns)


def test_features(tokenizer: PreTrainedTokenizerFast) -> None:
    """Two whole sequences a unit, in the tokenizer's own frame."""
    features = FORMAT.features(table(("the cat", "a dog ran"), ("rain", "")), TASK, tokenizer, LIMITS)
    sequences = [features.tokens[a:b].tolist() for a, b in zip(features.starts, features.starts[1:], strict=False)]
    assert sequences == [tokenizer(text)["input_ids"] for text in ("the cat", "a dog ran", "rain", "")]
    assert features.units.tolist() == [0, 2, 4]
    assert features.item.tolist() == [0, 1]
    assert features.cut == 0


def test_what_does_not_fit_is_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    features = FORMAT.features(table(("the cat sat on the mat", "a dog")), TASK, tokenizer, Limits(max_length=5))
    assert np.diff(features.starts).tolist() == [5, 4]
    assert features.tokens[:5].tolist() == tokenizer("the cat sat")["input_ids"]
    assert features.cut == 3


def test_embeddings_are_means_of_all_tokens(tokenizer: PreTrainedTokenizerFast, encoder: torch.nn.Module) -> None:
    features = FORMAT.features(table(("the cat", "a dog ran"), ("rain", "cold")), TASK, tokenizer, LIMITS)
    batch = gather(features, np.array([1, 0]))
    hidden = encoder(batch.tokens, batch.starts)
    outputs = FORMAT.outputs(None, hidden, batch)
    assert set(outputs) == set(FORMAT.aligned)
    for sequence, (begin, end) in enumerate(zip(batch.starts, batch.starts[1:], strict=False)):
        states = hidden[begin:end]
        torch.testing.assert_close(outputs["raw"][sequence], states.mean(dim=0))
        flat = (states - states.mean(dim=1, keepdim=True)) / states.var(dim=1, keepdim=True, correction=0).sqrt()
        torch.testing.assert_close(outputs["normalised"][sequence], flat.mean(dim=0), atol=1e-3, rtol=0)


def test_english_asks() -> None:
    """Row 1's English is nearest to source 0; the other direction would find every translation."""
    vectors = np.array([[1, 0], [1, 0], [0, 1], [9, 5]], dtype=np.float32)  # source, target, source, target
    outputs = {PART: {"raw": vectors, "normalised": vectors[:, ::-1] * [[1], [1], [1], [-1]]}}
    predictions = FORMAT.decode(outputs, {}, {PART: table(("x", "y"), ("z", "w"))}, TASK)
    assert predictions[PART]["prediction"].to_pylist() == ["0", "0"]
    assert predictions[PART]["gold"].to_pylist() == ["0", "1"]
    assert predictions[PART]["score"].to_pylist() == pytest.approx([1, 9 / math.hypot(9, 5)])
    scores = {score.metric: score for score in FORMAT.score(predictions, TASK)}
    assert scores["accuracy"].value == 50
    assert scores["accuracy"].count == 2
    assert (scores["accuracy"].language, scores["accuracy"].split) == PART
    assert scores["accuracy_normalised"].value == 100  # the two are ranked apart


def test_equal_sentences_are_right_once() -> None:
    """A source that stands twice: both rows find its first place."""
    vectors = np.array([[1, 0]] * 4, dtype=np.float32)
    predictions = FORMAT.decode({PART: {"raw": vectors, "normalised": vectors}}, {}, {PART: table(*["ab", "ab"])}, TASK)
    assert predictions[PART]["prediction"].to_pylist() == ["0", "0"]


def test_nothing_is_not_zero() -> None:
    columns = {name: pa.array([], pa.string()) for name in ("id", "gold", "prediction", "prediction_normalised")}
    assert all(math.isnan(score.value) for score in FORMAT.score({PART: pa.table(columns)}, TASK))


def test_a_copy_is_its_own_translation(tokenizer: PreTrainedTokenizerFast, encoder: torch.nn.Module) -> None:
    """From texts to scores, cut into batches and put together again."""
    texts = ["the cat sat", "a dog ran", "rain in paris", "it was cold", "because", "what", "who saw the mat"]
    rows = table(*((text, text) for text in texts))
    features = FORMAT.features(rows, TASK, tokenizer, LIMITS)
    outputs = {name: np.empty((2 * len(texts), encoder.hidden_size), np.float32) for name in FORMAT.aligned}
    for index in micro_batches(features, np.arange(len(features)), 20):
        batch = gather(features, index)
        for name, values in FORMAT.outputs(None, encoder(batch.tokens, batch.starts), batch).items():
            outputs[name][(2 * index[:, None] + [0, 1]).ravel()] = values.detach().numpy()
    predictions = FORMAT.decode({PART: outputs}, {PART: features}, {PART: rows}, TASK)
    assert [score.value for score in FORMAT.score(predictions, TASK)] == [100, 100]


def test_it_is_not_trained() -> None:
    assert not FORMAT.trainable
    with pytest.raises(NotImplementedError, match="nearest has no head"):
        FORMAT.head(TASK, None)


def test_real_sentences(slices: Path) -> None:
    tokenizer = XLMRobertaTokenizer.from_pretrained(slices / "tokenizer")
    folder = slices / "tatoeba" / "v1"
    pairs = []
    for code in ("tel", "cmn", "heb"):
        sides = [(folder / f"tatoeba.{code}-eng.{side}").read_text("utf-8").split("\n")[:20] for side in (code, "eng")]
        pairs += list(zip(*sides, strict=True))
    features = FORMAT.features(table(*pairs), TASK, tokenizer, LIMITS)
    expected = tokenizer([text for pair in pairs for text in pair])["input_ids"]
    assert features.tokens.tolist() == [token for ids in expected for token in ids]
    assert features.cut == 0
