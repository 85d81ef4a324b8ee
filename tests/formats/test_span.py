from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, XLMRobertaTokenizer

from xstilts.data.batches import Features, gather, micro_batches
from xstilts.errors import UserError
from xstilts.formats import get
from xstilts.formats.base import Limits
from xstilts.formats.extract import best_spans
from xstilts.scoring.qa import score_item
from xstilts.task import Task

FORMAT = get("span")
SQUAD = Task("squad", "span", metric="em_f1")
SQUAD_V2 = Task("squad_v2", "span", options={"no_answer": True})
LIMITS = Limits(max_length=384)
PART = ("en", "dev")
WORDS = ["the", "a", "cat", "dog", "sat", "on", "it", "was", "because", "so", "in", "paris", "zebra", "x1"]
CONTEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)


def table(*rows: tuple[str, str, list[str]]) -> pa.Table:
    """Of (context, question, answers); an answer is at its first place in the context."""
    values = [
        {
            "id": str(i),
            "context": context,
            "question": question,
            "answers": [{"text": text, "start": context.index(text)} for text in answers],
        }
        for i, (context, question, answers) in enumerate(rows)
    ]
    return pa.Table.from_pylist(values, schema=FORMAT.columns)


def sequences(features: Features) -> list[list[int]]:
    return [features.tokens[a:b].tolist() for a, b in zip(features.starts, features.starts[1:], strict=False)]


def perfect(features: Features) -> dict[str, np.ndarray]:
    """Logits of a model that says exactly what its labels are."""
    outputs = {}
    for name in ("start", "end"):
        logits = np.zeros(len(features.tokens), dtype=np.float32)
        logits[features.starts[:-1] + features.fields[name][1]] = 1
        outputs[name] = logits
    return outputs


def answers(rows: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits = LIMITS) -> list[str]:
    """What a perfect model is read to say."""
    features = FORMAT.features(rows, task, tokenizer, limits)
    predictions = FORMAT.decode({PART: perfect(features)}, {PART: features}, {PART: rows}, task)
    return predictions[PART]["prediction"].to_pylist()


def test_features_by_hand(tokenizer: PreTrainedTokenizerFast) -> None:
    """`zebra` is a bare ▁ and five letters, `cat` one piece; labels count from <s>."""
    rows = table(("the cat saw zebra in paris", "who", ["saw zebra"]), ("the cat", "what", []))
    features = FORMAT.features(rows, SQUAD_V2, tokenizer, LIMITS)
    assert sequences(features) == [
        tokenizer("who", "the cat saw zebra in paris")["input_ids"],
        tokenizer("what", "the cat")["input_ids"],
    ]
    assert features.fields["start"][1].tolist() == [6, 0]  # <s> who </s> </s> the cat saw ▁ z e b r a in paris </s>
    assert features.fields["end"][1].tolist() == [12, 0]
    begin, finish = (features.fields[name][1][:16].tolist() for name in ("begin", "finish"))
    assert begin == [-1, -1, -1, -1, 0, 4, 8, 12, 12, 13, 14, 15, 16, 18, 21, -1]
    assert finish == [-1, -1, -1, -1, 3, 7, 11, 13, 13, 14, 15, 16, 17, 20, 26, -1]


def test_a_long_question_is_cut_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = table(("the cat", "what sat on the mat", ["cat"]), ("the cat", "who", ["cat"]))
    features = FORMAT.features(rows, SQUAD, tokenizer, Limits(max_length=384, max_query_length=3))
    assert sequences(features)[0] == tokenizer("what sat on", "the cat")["input_ids"]
    assert features.cut == 2


@given(CONTEXTS, st.integers(8, 30), st.integers(1, 20))
def test_windows_lose_nothing(tokenizer: PreTrainedTokenizerFast, context: str, max_length: int, stride: int) -> None:
    """Every token of the context is in a window, neighbours share exactly `stride`, and all but the last are full."""
    room = max_length - 5
    limits = Limits(max_length, stride=min(stride, room - 1))
    features = FORMAT.features(table((context, "who", []), ("it", "who", [])), SQUAD_V2, tokenizer, limits)
    windows = [sequence[4:-1] for sequence in sequences(features)][:-1]
    assert features.item.tolist() == [0] * len(windows) + [1]
    assert all(len(window) == room for window in windows[:-1])
    assert len(windows[-1]) <= room
    whole = windows[0]
    for window in windows[1:]:
        assert whole[len(whole) - limits.stride :] == window[: limits.stride]
        assert len(window) > limits.stride  # and every window shows something new
        whole = whole + window[limits.stride :]
    assert whole == tokenizer(context, add_special_tokens=False)["input_ids"]
    assert features.cut == 0


def test_labels_are_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    """A window is labelled with the answer if and only if it holds all of its tokens: every answer of up to 5 words."""
    words = np.random.default_rng(0).choice(WORDS, 60).tolist()
    context = " ".join(words)
    places = [(first, last) for first in range(60) for last in range(first, min(first + 5, 60))]
    starts = [len(" ".join([*words[:first], ""])) for first, _ in places]
    texts = [" ".join(words[first : last + 1]) for first, last in places]
    rows = pa.Table.from_pylist(
        [
            {"id": str(i), "context": context, "question": "who", "answers": [{"text": text, "start": start}]}
            for i, (text, start) in enumerate(zip(texts, starts, strict=True))
        ],
        schema=FORMAT.columns,
    )
    features = FORMAT.features(rows, SQUAD, tokenizer, Limits(max_length=30, stride=12))
    labelled = 0
    for window, item in enumerate(features.item):
        span = slice(*features.starts[window : window + 2])
        begin, finish = (features.fields[name][1][span] for name in ("begin", "finish"))
        here, there = (int(features.fields[name][1][window]) for name in ("start", "end"))
        first, last = begin[begin >= 0].min(), finish.max()
        covers = first <= starts[item] and last >= starts[item] + len(texts[item])
        assert (here > 0) == (there > 0) == covers
        if covers:
            labelled += 1
            assert context[begin[here] : finish[there]] == texts[item]
    assert labelled >= len(places)


@pytest.mark.parametrize(
    ("context", "answer", "expected"),
    [
        ("she saw cafe\u0301 \U0001d518 in paris", "cafe\u0301", "cafe\u0301"),  # NFKC makes one letter of two
        ("\U0001f600\U0001f600 the cat \U0001f600 sat", "cat \U0001f600", "cat \U0001f600"),  # beyond 16 bits
        ("it was \u1112\u1161\u11ab \u1100\u1173\u11af here", "\u1112\u1161\u11ab", "\u1112\u1161\u11ab"),  # Hangul
        ("the \ufb01re \ufdfa it", "\ufdfa", "\ufdfa"),  # one character that becomes four words
        ("it is \u0939\u093f\u0928\u094d\u0926\u0940.", "\u0939\u093f\u0928\u094d\u0926\u0940", None),
        ("a cat\u200b ran", "cat", "cat"),  # what is invisible is not taken along
        ("  the\n\tcat  sat ", "the\n\tcat", "the\n\tcat"),
    ],
)
def test_unusual_characters(
    tokenizer: PreTrainedTokenizerFast, context: str, answer: str, expected: str | None
) -> None:
    """An answer decodes back to itself; to the whole of the tokens it touches where it ends inside one."""
    (said,) = answers(table((context, "what", [answer])), SQUAD, tokenizer)
    assert said == (expected or said)
    assert answer in said


def loss_of(features: Features, cut: list[np.ndarray], encoder: torch.nn.Module, head: torch.nn.Module) -> torch.Tensor:
    parts = []
    for index in cut:
        batch = gather(features, index)
        parts.append(FORMAT.loss(head, encoder(batch.tokens, batch.starts), batch))
    return sum(loss for loss, _ in parts) / sum(count for _, count in parts)


@pytest.fixture
def features(tokenizer: PreTrainedTokenizerFast) -> Features:
    """Eight windows of four items."""
    long = " ".join(WORDS * 3)
    rows = table(
        (long, "who", ["because so"]), ("the cat sat", "what", ["cat"]), ("it was", "who", []), ("x1", "a", ["x"])
    )
    return FORMAT.features(rows, SQUAD_V2, tokenizer, Limits(max_length=25, stride=8))


def test_loss_is_cross_entropy_over_the_window(features: Features, encoder: torch.nn.Module) -> None:
    batch = gather(features, np.arange(len(features))[::-1])
    head = FORMAT.head(SQUAD_V2, encoder)
    hidden = encoder(batch.tokens, batch.starts)
    loss, count = FORMAT.loss(head, hidden, batch)
    terms = []
    for unit, (a, b) in enumerate(zip(batch.starts, batch.starts[1:], strict=False)):
        for name, logits in zip(("start", "end"), head(hidden[a:b]).T, strict=True):
            terms.append(F.cross_entropy(logits, batch.fields[name][unit]) / 2)
    torch.testing.assert_close(loss, torch.stack(terms).sum())
    assert count == len(features) == 8


def test_loss_does_not_feel_the_cut(features: Features, encoder: torch.nn.Module) -> None:
    """Value and gradient, to 1e-6, whole and in micro-batches."""
    head = FORMAT.head(SQUAD_V2, encoder)
    gradients = []
    for cut in ([np.arange(len(features))], micro_batches(features, np.arange(len(features)), 40)):
        encoder.zero_grad()
        head.zero_grad()
        loss = loss_of(features, cut, encoder, head)
        loss.backward()
        grads = [parameter.grad.flatten() for parameter in [*encoder.parameters(), *head.parameters()]]
        gradients.append((loss.detach(), torch.cat(grads)))
    assert len(cut) > 2
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=0)


def test_large_logits_do_not_overflow(features: Features, encoder: torch.nn.Module) -> None:
    head = FORMAT.head(SQUAD_V2, encoder)
    torch.nn.init.constant_(head.bias, 1e4)
    assert loss_of(features, [np.arange(len(features))], encoder, head).isfinite()


def test_it_learns(features: Features, encoder: torch.nn.Module) -> None:
    """By heart, in every window."""
    head = FORMAT.head(SQUAD_V2, encoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.02)
    for _ in range(80):
        loss = loss_of(features, [np.arange(len(features))], encoder, head)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = gather(features, np.arange(len(features)))
    outputs = FORMAT.outputs(head, encoder(batch.tokens, batch.starts), batch)
    for name in FORMAT.aligned:
        best = [logits.argmax().item() for logits in outputs[name].split(batch.starts.diff().tolist())]
        assert best == features.fields[name][1].tolist()


def slow_best(start: np.ndarray, end: np.ndarray, features: Features, item: int) -> tuple[float, int, int] | None:
    """The best span of an item by its definition, one pair at a time."""
    found = []
    for window in np.flatnonzero(features.item == item):
        span = slice(*features.starts[window : window + 2])
        begin, finish = (features.fields[name][1][span] for name in ("begin", "finish"))
        for s in np.argsort(-start[span], kind="stable")[:20]:
            for e in np.argsort(-end[span], kind="stable")[:20]:
                if begin[s] >= 0 and begin[e] >= 0 and s <= e < s + 30:
                    found.append((float(start[span][s] + end[span][e]), int(begin[s]), int(finish[e])))
    return max(found, key=lambda span: span[0]) if found else None


@settings(deadline=None)
@given(st.lists(CONTEXTS, min_size=1, max_size=4), st.integers(0, 10**6), st.booleans())
def test_decoding_is_its_definition(
    tokenizer: PreTrainedTokenizerFast, contexts: list[str], seed: int, ties: bool
) -> None:
    rows = table(*((context, "who sat", []) for context in contexts))
    features = FORMAT.features(rows, SQUAD_V2, tokenizer, Limits(max_length=60, stride=20))
    rng = np.random.default_rng(seed)
    start, end = rng.normal(size=(2, len(features.tokens))).astype(np.float32)
    if ties:
        start, end = np.round(start), np.round(end)
    spans = best_spans(start, end, features)
    for item in range(len(contexts)):
        best = slow_best(start, end, features, item)
        assert best is not None
        assert (spans.score[item], spans.begin[item], spans.finish[item]) == best
        firsts = features.starts[:-1][features.item == item]
        assert spans.null[item] == min(start[firsts] + end[firsts])


def test_the_longest_answer_has_30_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = table((" ".join(["cat"] * 40), "who", []))
    features = FORMAT.features(rows, SQUAD, tokenizer, LIMITS)
    start, end = np.zeros((2, len(features.tokens)), dtype=np.float32)
    start[4], end[4 + 29], end[4 + 30] = 9, 5, 8  # the better end is one token too far
    spans = best_spans(start, end, features)
    assert (spans.begin[0], spans.finish[0], spans.score[0]) == (0, 30 * 4 - 1, 14)


def test_no_possible_span(tokenizer: PreTrainedTokenizerFast) -> None:
    """All 20 best starts lie in the question: the answer is empty and has no score."""
    rows = table(("the cat", " ".join(["what"] * 30), ["cat"]))
    features = FORMAT.features(rows, SQUAD, tokenizer, LIMITS)
    start = np.where(features.fields["begin"][1] < 0, 1, 0).astype(np.float32)
    outputs = {PART: {"start": start, "end": np.zeros_like(start)}}
    predictions = FORMAT.decode(outputs, {PART: features}, {PART: rows}, SQUAD)[PART]
    assert predictions["prediction"].to_pylist() == [""]
    assert predictions["score"].to_pylist() == [None]
    assert predictions["gold"].to_pylist() == [["cat"]]


@pytest.mark.parametrize(("task", "expected"), [(SQUAD, ["the", "the"]), (SQUAD_V2, ["", "the"])])
def test_no_answer_where_the_task_knows_of_it(
    tokenizer: PreTrainedTokenizerFast, task: Task, expected: list[str]
) -> None:
    """Item 0: <s> is larger in all windows; item 1: only equal, which is not enough."""
    rows = table(("the cat", "who", ["cat"]), ("the dog", "who", ["dog"]))
    features = FORMAT.features(rows, task, tokenizer, LIMITS)
    logits = np.zeros(len(features.tokens), dtype=np.float32)
    logits[features.starts[0]] = 1
    outputs = {PART: {"start": logits, "end": logits}}
    predictions = FORMAT.decode(outputs, {PART: features}, {PART: rows}, task)[PART]
    assert predictions["prediction"].to_pylist() == expected
    assert predictions["null_score"].to_pylist() == [2, 0]


@pytest.mark.parametrize(
    ("options", "language", "version", "values"),
    [
        ({}, "zh", "squad-1.1", (0, 0)),
        ({"normalisation": "squad", "no_answer": True}, "zh", "squad-2.0", (0, 0)),
        ({"normalisation": "mlqa"}, "zh", "mlqa", (0, 50)),
        ({"normalisation": "mlqa"}, "de", "mlqa", (0, 0)),
    ],
)
def test_scores(options: dict, language: str, version: str, values: tuple[float, float]) -> None:
    predictions = pa.table({"id": ["1"], "prediction": ["一个人"], "gold": [["人"]]})
    scores = FORMAT.score({(language, "test"): predictions}, Task("t", "span", options=options))
    found = {score.metric: score.value for score in scores}
    assert found == pytest.approx({"exact_match": values[0], "f1": values[1], "em_f1": sum(values) / 2})
    assert {(s.language, s.split, s.version, s.count) for s in scores} == {(language, "test", version, 1)}


def test_nothing_is_not_zero() -> None:
    empty = pa.table({"prediction": pa.array([], pa.string()), "gold": pa.array([], pa.list_(pa.string()))})
    scores = FORMAT.score({PART: empty}, SQUAD)
    assert len(scores) == 3
    assert all(math.isnan(score.value) and score.count == 0 for score in scores)


@pytest.mark.parametrize(
    ("task", "answer", "message"),
    [
        (SQUAD, None, "0: no answer, and squad has no unanswerable"),
        (SQUAD, ("dog", 4), "0: answer 'dog' is not at character 4"),
        (SQUAD, ("", 0), "0: answer '' is not"),
        (SQUAD, ("cat", -3), "0: answer 'cat' is not"),
        (Task("m", "span", languages=["sw", "de"], options={"normalisation": "mlqa"}), ("cat", 4), "no language sw"),
    ],
)
def test_check(task: Task, answer: tuple[str, int] | None, message: str) -> None:
    row = {"id": "0", "context": "the cat", "question": "who", "answers": []}
    if answer:
        row["answers"] = [{"text": answer[0], "start": answer[1]}]
    with pytest.raises(ValueError, match=message):
        FORMAT.check(pa.Table.from_pylist([row], schema=FORMAT.columns), task)
    FORMAT.check(table(("the cat", "who", ["cat"])), SQUAD)
    FORMAT.check(table(("the cat", "who", [])), SQUAD_V2)


def test_options_that_cannot_be(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match="did you mean 'mlqa'"):
        FORMAT.check(table(), Task("t", "span", options={"normalisation": "mqla"}))
    with pytest.raises(UserError, match="only scored with normalisation squad"):
        FORMAT.check(table(), Task("t", "span", options={"normalisation": "mlqa", "no_answer": True}))
    with pytest.raises(UserError, match="leaves windows of 7 sub-words"):
        FORMAT.features(table(("the cat", "who", ["cat"])), SQUAD, tokenizer, Limits(max_length=12, stride=7))


@pytest.fixture(scope="module")
def real(slices: Path) -> XLMRobertaTokenizer:
    return XLMRobertaTokenizer.from_pretrained(slices / "tokenizer")


REAL = ["squad/dev-v1.1.json", "squad_v2/dev-v2.0.json", "tydiqa/tydiqa-goldp-v1.1-dev.json"]
REAL += [f"xquad/xquad.{code}.json" for code in ("ar", "de", "el", "en", "es", "hi", "ru", "tr", "vi", "zh")]
REAL += [f"mlqa/MLQA_V1/dev/dev-context-{code}-question-{code}.json" for code in ("ar", "de", "en", "es", "vi", "zh")]


@pytest.mark.parametrize("name", REAL)
def test_real_answers_decode_back(slices: Path, real: XLMRobertaTokenizer, name: str) -> None:
    """Of a perfect model: every answer is in what is read out, and is what is read out for nearly all, up to 30 tokens.

    What is left are answers that begin or end inside a token: a part of a Chinese word, an Arabic word without `al-`.
    """
    articles = json.loads((slices / name).read_text("utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    rows = [
        {
            "id": question["id"],
            "context": paragraph["context"],
            "question": question["question"],
            "answers": [{"text": a["text"], "start": a["answer_start"]} for a in question["answers"]],
        }
        for paragraph in paragraphs
        for question in paragraph["qas"]
    ]
    task = SQUAD_V2 if "v2" in name else SQUAD
    values = pa.Table.from_pylist(rows[::3], schema=FORMAT.columns)
    FORMAT.check(values, task)
    exact = []
    for row, said in zip(rows[::3], answers(values, task, real, Limits(max_length=256, stride=96)), strict=True):
        gold = row["answers"][0]["text"].strip() if row["answers"] else ""
        if len(real(gold, add_special_tokens=False)["input_ids"]) <= 28:
            assert gold in said if gold else said == ""
            exact.append(score_item(said, [gold], "squad-2.0")[0])
    assert len(exact) > 10
    assert np.mean(exact) > 0.9


def test_a_diverged_model_says_nothing(features: Features) -> None:
    """Logits that are no numbers give no answer, and decoding does not stop."""
    nothing = np.full(len(features.tokens), np.nan, dtype=np.float32)
    spans = best_spans(nothing, nothing, features)
    assert spans.begin.tolist() == spans.finish.tolist() == [0] * 4
