from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from xstilts.errors import UserError
from xstilts.formats.sequences import Frame, Ragged, by_item, join, longest_first, tokenize

rows = st.lists(st.lists(st.integers(0, 99), max_size=5), min_size=1, max_size=6)


def lists(ragged: Ragged) -> list[list[int]]:
    return [ragged.values[a:b].tolist() for a, b in zip(ragged.starts[:-1], ragged.starts[1:], strict=True)]


@given(st.lists(st.tuples(*[st.lists(st.integers(0, 99), max_size=4)] * 3), min_size=1, max_size=6))
def test_join_puts_columns_side_by_side(table: list[tuple[list[int], ...]]) -> None:
    columns = [Ragged.of([row[i] for row in table]) for i in range(3)]
    assert lists(join(*columns)) == [a + b + c for a, b, c in table]


@given(rows, st.data())
def test_first_last_and_take(values: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(values)
    keep = data.draw(st.lists(st.integers(0, 6), min_size=len(values), max_size=len(values)))
    index = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=8))
    assert lists(ragged.first(np.array(keep))) == [row[:n] for row, n in zip(values, keep, strict=True)]
    assert lists(ragged.last(np.array(keep))) == [
        row[max(len(row) - n, 0) :] for row, n in zip(values, keep, strict=True)
    ]
    assert lists(ragged.take(np.array(index, int))) == [values[i] for i in index]
    assert ragged.row.tolist() == [i for i, row in enumerate(values) for _ in row]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers()), max_size=20))
def test_by_item_keeps_the_order_within_an_item(pairs: list[tuple[int, int]]) -> None:
    pairs = [(item, value % 1000) for item, value in pairs]
    item = np.array([p[0] for p in pairs], int)
    found = by_item(pa.array([p[1] for p in pairs], pa.int64()), item, 5)
    assert found.to_pylist() == [[v for i, v in pairs if i == wanted] for wanted in range(5)]


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 30))
def test_longest_first_is_hugging_faces(tokenizer: PreTrainedTokenizerBase, a: int, b: int, room: int) -> None:
    encoding = tokenizer(["cat " * a], ["dog " * b], truncation="longest_first", max_length=room + 4)
    kept = longest_first(np.array([a]), np.array([b]), np.array([room]))
    assert [int(k[0]) for k in kept] == [encoding.sequence_ids(0).count(side) for side in (0, 1)]


def test_frame_is_what_the_tokenizer_puts_around(tokenizer: PreTrainedTokenizerBase) -> None:
    check_frame(tokenizer)


def test_frame_of_the_real_tokenizer(xlmr: PreTrainedTokenizerBase) -> None:
    check_frame(xlmr)


def check_frame(tokenizer: PreTrainedTokenizerBase) -> None:
    first, second = ["the cat sat", "a dog", "who"], ["on the mat", "", "ran ran"]
    frame = Frame.of(tokenizer)
    a, b = tokenize(tokenizer, first), tokenize(tokenizer, second)
    assert lists(frame.around(a)) == tokenizer(first)["input_ids"]
    assert lists(frame.around(a, b)) == tokenizer(first, second)["input_ids"]
    mixed = lists(frame.around(a, b.first(np.array([9, 0, 9])), np.array([True, False, True])))
    assert mixed == [lists(frame.around(a, b))[0], lists(frame.around(a))[1], lists(frame.around(a, b))[2]]
    assert frame.room(10, np.array([True, False])).tolist() == [6, 8]


def test_no_room_is_said(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UserError, match="max_length=4 leaves no room beside 4 special tokens"):
        Frame.of(tokenizer).room(4, np.array([False, True]))
