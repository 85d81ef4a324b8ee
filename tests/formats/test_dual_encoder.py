from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from xstilts.data.batches import Batch, gather
from xstilts.errors import UserError
from xstilts.formats import get
from xstilts.formats.base import Limits, Part
from xstilts.task import Task

FORMAT = get("dual_encoder")
TASK = Task("lareqa", "dual_encoder")
LIMITS = Limits(max_length=12, max_query_length=6)
POOL, PART = ("all", "candidates"), ("sw", "test")
Row = tuple[str, str, str, str, list[str]]


def table(*rows: Row) -> pa.Table:
    names = FORMAT.columns.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=FORMAT.columns)


def pair(name: str, query: str, candidate: str, key: str) -> Row:
    return (name, "pair", query, candidate, [key])


def decode(parts: dict[Part, tuple[pa.Table, np.ndarray]]) -> dict[Part, pa.Table]:
    """`parts` has tables and the embedding of every sequence."""
    tables = {part: rows for part, (rows, _) in parts.items()}
    outputs = {part: {"embedding": np.asarray(vectors, np.float32)} for part, (_, vectors) in parts.items()}
    units = {
        part: np.cumsum([0] + [2 if kind == "pair" else 1 for kind in rows["kind"].to_pylist()])
        for part, rows in tables.items()
    }
    return FORMAT.decode(outputs, {part: SimpleNamespace(units=u) for part, u in units.items()}, tables, TASK)


def test_features(tokenizer: PreTrainedTokenizerFast) -> None:
    """A query is cut to 6 tokens and a candidate to 12, special ones included."""
    long = "the cat sat on the mat in the rain because it was cold"
    rows = table(
        pair("p", "what sat on the mat", long, "c"),
        ("q", "query", "who ran", "", ["c", "d"]),
        ("c", "candidate", "", "a dog", []),
    )
    features = FORMAT.features(rows, TASK, tokenizer, LIMITS)
    sequences = [features.tokens[a:b].tolist() for a, b in zip(features.starts, features.starts[1:], strict=False)]
    texts = ["what sat on the", " ".join(long.split()[:10]), "who ran", "a dog"]
    assert sequences == [tokenizer(text)["input_ids"] for text in texts]
    assert features.units.tolist() == [0, 2, 3, 4]
    assert features.item.tolist() == [0, 1, 2]
    assert features.cut == 1 + 3
    keys = features.fields["candidate"][1]
    assert keys[0] == keys[1] == keys[2]  # of candidate c, wherever it stands


def training(tokenizer: PreTrainedTokenizerFast, *rows: Row) -> Batch:
    features = FORMAT.features(table(*rows), TASK, tokenizer, LIMITS)
    return gather(features, np.arange(len(features)))


def test_loss_is_softmax_over_the_batch(tokenizer: PreTrainedTokenizerFast, encoder: torch.nn.Module) -> None:
    batch = training(tokenizer, pair("1", "who", "the cat", "a"), pair("2", "what", "the mat", "b"))
    head = FORMAT.head(TASK, encoder)
    hidden = encoder(batch.tokens, batch.starts)
    loss, count = FORMAT.loss(head, hidden, batch)
    states = torch.tanh(head.dense(hidden[batch.starts[:-1]]))
    vectors = states / states.norm(dim=1, keepdim=True)
    logits = 100 * torch.stack([torch.stack([vectors[q] @ vectors[c] for c in (1, 3)]) for q in (0, 2)])
    expected = -(torch.log_softmax(logits, dim=1).diagonal()).sum()
    torch.testing.assert_close(loss, expected)
    assert count == 2
    assert not torch.isclose(loss, -(torch.log_softmax(logits, dim=0).diagonal()).sum())  # one direction alone


def test_equal_candidates_are_no_negatives(tokenizer: PreTrainedTokenizerFast, encoder: torch.nn.Module) -> None:
    rows = [pair("1", "who", "the cat", "a"), pair("2", "what", "the mat", "b"), pair("3", "where", "the cat", "a")]
    batch = training(tokenizer, *rows)
    head = FORMAT.head(TASK, encoder)
    torch.nn.init.constant_(head.logit_scale, 2.0)  # so that every term is felt
    hidden = encoder(batch.tokens, batch.starts)
    vectors = head(hidden[batch.starts[:-1]])
    logits = 2 * vectors[0::2] @ vectors[1::2].T
    terms = [F.cross_entropy(logits[[row]][:, kept], torch.tensor([0])) for row, kept in ((0, [0, 1]), (2, [2, 1]))]
    terms.append(F.cross_entropy(logits[[1]], torch.tensor([1])))
    torch.testing.assert_close(FORMAT.loss(head, hidden, batch)[0], torch.stack(terms).sum())


def test_the_same_candidate_has_the_same_key_in_every_part(tokenizer: PreTrainedTokenizerFast) -> None:
    """Tables that are concatenated for training may share candidates."""
    one, two = (
        FORMAT.features(table(*rows), TASK, tokenizer, LIMITS).fields["candidate"][1]
        for rows in ([pair("1", "a", "b", "x"), pair("2", "a", "b", "y")], [pair("3", "a", "b", "y")])
    )
    assert one[1] == two[0] != one[0]


def test_it_learns(tokenizer: PreTrainedTokenizerFast, encoder: torch.nn.Module) -> None:
    """Eight pairs by heart, of letters: every query then finds its candidate, and the scale is trained too."""
    rows = table(*(pair(str(i), "abcdefgh"[i], "stuvwxyz"[i], f"c{i}") for i in range(8)))
    features = FORMAT.features(rows, TASK, tokenizer, LIMITS)
    batch = gather(features, np.arange(len(features)))
    head = FORMAT.head(TASK, encoder)
    assert head.logit_scale.item() == 100
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.01)
    for _ in range(40):
        loss, count = FORMAT.loss(head, encoder(batch.tokens, batch.starts), batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    assert head.logit_scale.item() != 100
    with torch.no_grad():
        outputs = FORMAT.outputs(head, encoder(batch.tokens, batch.starts), batch)
    vectors = {PART: {"embedding": outputs["embedding"].numpy()}}
    np.testing.assert_allclose(np.linalg.norm(vectors[PART]["embedding"], axis=1), 1, rtol=1e-5)
    predictions = FORMAT.decode(vectors, {PART: features}, {PART: rows}, TASK)
    assert [score.value for score in FORMAT.score(predictions, TASK)] == [100, 100]


def test_queries_see_all_pools() -> None:
    """Candidates of a shared part and of a language's own; the part of candidates alone has no predictions."""
    shared = table(*((f"c{i}", "candidate", "", f"text {i}", []) for i in range(3)))
    own = table(("q0", "query", "x", "", ["d0", "c1"]), ("d0", "candidate", "", "y", []))
    predictions = decode({POOL: (shared, [[1, 0], [0.9, 0.1], [0, 1]]), PART: (own, [[1, 0.2], [0.95, 0.2]])})
    assert list(predictions) == [PART]
    assert predictions[PART]["id"].to_pylist() == ["q0"]
    assert predictions[PART]["prediction"].to_pylist() == [["c0", "d0", "c1", "c2"]]
    assert predictions[PART]["gold"].to_pylist() == [["d0", "c1"]]


def test_top_20_is_brute_force() -> None:
    rng = np.random.default_rng(0)
    candidates, queries = rng.normal(size=(100, 4)), rng.normal(size=(7, 4))
    pools = {
        (language, "candidates"): (
            table(*((f"{language}{i}", "candidate", "", "x", []) for i in range(50))),
            candidates[50 * half : 50 * half + 50],
        )
        for half, language in enumerate(("en", "sw"))
    }
    asked = table(*((f"q{i}", "query", "x", "", ["en0"]) for i in range(7)))
    found = decode({**pools, PART: (asked, queries)})[PART]["prediction"].to_pylist()
    names = [f"{language}{i}" for language in ("en", "sw") for i in range(50)]
    order = np.argsort(-(queries @ candidates.T), axis=1)[:, :20]
    assert found == [[names[i] for i in row] for row in order]


def test_pairs_are_ranked_in_their_own_part() -> None:
    """A selection part: distinct candidates of its own pairs, and none of the pool."""
    rows = table(pair("1", "q", "x", "a"), pair("2", "q", "y", "b"), pair("3", "q", "x", "a"))
    pool = table(("c", "candidate", "", "z", []))
    vectors = [[0, 1], [1, 0], [1, 0.1], [0, 1], [1, 0], [1, 0]]  # query, candidate, query, ...
    predictions = decode({POOL: (pool, [[5, 5]]), ("en", "selection"): (rows, vectors)})[("en", "selection")]
    assert predictions["prediction"].to_pylist() == [["b", "a"], ["a", "b"], ["a", "b"]]
    assert predictions["gold"].to_pylist() == [["a"], ["b"], ["a"]]
    scores = {score.metric: score for score in FORMAT.score({("en", "selection"): predictions}, TASK)}
    assert scores["map20"].value == scores["mrr20"].value == pytest.approx(100 * (1 / 2 + 1 / 2 + 1) / 3)
    assert (scores["map20"].version, scores["mrr20"].version, scores["map20"].count) == ("lareqa", "mewsli-x", 3)


def test_scores_by_hand() -> None:
    columns = {"id": ["1", "2"], "prediction": [["x", "a", "b"], ["y"]], "gold": [["a", "b", "c"], ["a"]]}
    scores = {score.metric: score.value for score in FORMAT.score({PART: pa.table(columns)}, TASK)}
    assert scores["map20"] == pytest.approx(100 * ((1 / 2 + 2 / 3) / 3 + 0) / 2)
    assert scores["mrr20"] == pytest.approx(100 * (1 / 2 + 0) / 2)


def test_nothing_is_not_zero() -> None:
    columns = {name: pa.array([], pa.list_(pa.string())) for name in ("prediction", "gold")}
    assert all(math.isnan(score.value) for score in FORMAT.score({PART: pa.table(columns)}, TASK))


def test_a_missing_pool_is_said() -> None:
    with pytest.raises(UserError, match="no candidates to rank for sw/test"):
        decode({PART: (table(("q", "query", "x", "", ["a"])), [[1, 0]])})


def test_it_needs_whole_batches() -> None:
    assert FORMAT.whole_batch
    assert not get("span").whole_batch


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "answer", "a", "b", ["c"]), "x: kind is 'answer'"),
        (("x", "pair", "a", "", ["c"]), "x: a pair has a candidate text"),
        (("x", "candidate", "a", "b", []), "x: a candidate has no query text"),
        (("x", "query", "", "", ["c"]), "x: a query has a query text"),
        (("x", "query", "a", "", []), "x: pairs and queries have positives"),
        (("x", "candidate", "", "b", ["c"]), "candidates have none"),
    ],
)
def test_check(row: Row, message: str) -> None:
    good = [pair("p", "q", "c", "c"), ("q", "query", "x", "", ["c"]), ("c", "candidate", "", "y", [])]
    FORMAT.check(table(*good), TASK)
    with pytest.raises(ValueError, match=message):
        FORMAT.check(table(*good, row), TASK)
