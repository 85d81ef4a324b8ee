"""Chunks counted a sentence: their sums are those of the whole, and each sentence's those of it alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.scoring.tags import chunk_f1, sentence_counts

TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "NOUN", "SCONJ", "X"])
PAIRS = st.lists(st.lists(st.tuples(TAGS, TAGS), max_size=6), min_size=1, max_size=6)


@settings(max_examples=40)
@given(PAIRS)
def test_any_choice_of_sentences_has_the_f1_of_its_sums(pairs: list[list[tuple[str, str]]]) -> None:
    gold = [[g for g, _ in sentence] for sentence in pairs]
    said = [[p for _, p in sentence] for sentence in pairs]
    counts = sentence_counts(gold, said)
    assert counts.shape == (3, len(pairs))
    alone = [sentence_counts([g], [p])[:, 0] for g, p in zip(gold, said, strict=True)]
    assert (counts == np.stack(alone, axis=1)).all()
    right, found, there = counts[:, ::2].sum(axis=1)
    f1 = 200 * right / (found + there) if right else 0.0
    assert chunk_f1(gold[::2], said[::2], "seqeval-0.0.12") == pytest.approx(f1)
