"""What one clause says about another, on sentences a person can judge."""

from __future__ import annotations

import pytest
from reading import event

from xstilts.data.toy.logic import relation

JUDGED = [
    ("Zelu see a red book in Moke today .", "Zelu see a red book in Moke today .", "entailment"),
    ("Zelu see a red book in Moke today .", "Zelu notice a red book .", "entailment"),
    ("Zelu see a red dog .", "Zelu see a animal .", "entailment"),
    ("Zelu see a red dog .", "Zelu see a red hound .", "entailment"),
    ("Zelu see a dog .", "Zelu did see a dog .", "entailment"),
    ("Zelu see a animal .", "Zelu see a dog .", "neutral"),
    ("Zelu see a book .", "Zelu see a red book .", "neutral"),
    ("Zelu see a book .", "Zelu see a book today .", "neutral"),
    ("Zelu see a book .", "Moke see a book .", "neutral"),
    ("Zelu see a book .", "Zelu see a knife .", "neutral"),
    ("Zelu see a book .", "Zelu will see a book .", "neutral"),
    ("Zelu see a book in Moke .", "Zelu see a book in Kude .", "neutral"),
    ("Zelu see a book in the park .", "Zelu see a book near the park .", "neutral"),
    ("Zelu see 3 dog .", "Zelu see 4 dog .", "neutral"),
    ("Zelu give a book to Moke .", "Moke give a book to Zelu .", "neutral"),
    ("Zelu see a red book .", "Zelu see a blue book .", "contradiction"),
    ("Zelu see a big book .", "Zelu see a little book .", "contradiction"),
    ("Zelu see a big book .", "Zelu see a old book .", "neutral"),
    ("Zelu see a book today .", "Zelu see a book yesterday .", "contradiction"),
    ("Zelu see a book today .", "Zelu see a book always .", "neutral"),
    ("Zelu see a red book today .", "Zelu see a blue book .", "contradiction"),
    ("Zelu see a red book .", "Zelu see a blue book today .", "neutral"),
    ("Zelu see a red book .", "Zelu did not see a book .", "contradiction"),
    ("Zelu see a book .", "Zelu did not see a red book .", "neutral"),
    ("Zelu see a red book .", "Zelu did not see a blue book .", "entailment"),
    ("Zelu did not see a book .", "Zelu did not see a red book .", "entailment"),
    ("Zelu did not see a red book .", "Zelu did not see a book .", "neutral"),
    ("Zelu did not see a animal .", "Zelu see a dog .", "contradiction"),
    ("Zelu did not see a red dog .", "Zelu see a dog .", "neutral"),
    ("Zelu see every dog .", "Zelu see every red dog .", "entailment"),
    ("Zelu see every red dog .", "Zelu see every dog .", "neutral"),
    ("Zelu see every animal .", "Zelu see every dog .", "entailment"),
    ("the big farmer run .", "the farmer run .", "entailment"),
    ("every farmer run .", "every big farmer run .", "entailment"),
]


@pytest.mark.parametrize(("premise", "hypothesis", "label"), JUDGED)
def test_a_pair_has_the_label_a_person_gives_it(premise: str, hypothesis: str, label: str) -> None:
    assert relation(event(premise), event(hypothesis)) == label
