"""Readers of tagged sentences: CoNLL-U, WikiANN, CCGbank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstilts.data.readers import read
from xstilts.errors import DataError
from xstilts.task import load

File = Callable[..., Path]
Part = Callable[[str, str], list[dict[str, Any]]]


def conllu(*words: str) -> str:
    """Lines of a sentence from `index form tag head [enhanced]`."""
    out = ["# sent_id = 1"]
    for word in words:
        index, form, tag, head, *enhanced = word.split(" ")
        deps = enhanced[0] if enhanced else "_"
        out.append("\t".join([index, form, "_", tag, "_", "_", head, "_", deps, "_"]))
    return "\n".join(out) + "\n\n"


def words(file: File, text: str, language: str = "de") -> list[tuple[list[str], list[str]]]:
    rows = read("conllu", [file("x.conllu", text)], language)
    return [(r.values["tokens"], r.values["tags"]) for r in rows]


def test_a_multiword_token_is_its_written_form_with_its_heads_tag(file: File) -> None:
    text = conllu("1 Er PRON 2", "2 geht VERB 0", "3-4 zum _ _", "3 zu ADP 5", "4 dem DET 5", "5 Haus NOUN 2")
    assert words(file, text) == [(["Er", "geht", "zum", "Haus"], ["PRON", "VERB", "ADP", "NOUN"])]


def test_the_word_nearest_to_the_root_is_the_head(file: File) -> None:
    text = conllu("1-2 dámelo _ _", "1 da VERB 0", "2 melo PRON 1")
    assert words(file, text, "es") == [(["dámelo"], ["VERB"])]
    text = conllu("1-2 x _ _", "1 a ADP 2", "2 b NOUN 0")
    assert words(file, text) == [(["x"], ["NOUN"])]


@pytest.mark.parametrize(("language", "tag"), [("de", "NUM"), ("es", "DET")])
def test_ties_are_ranked_by_language(file: File, language: str, tag: str) -> None:
    """Both words hang on the same verb; a tag that a language's ranks lack comes last."""
    text = conllu("1 sehen VERB 0", "2-3 x _ _", "2 a NUM 1", "3 b DET 1")
    assert words(file, text, language)[0][1] == ["VERB", tag]


def test_enhanced_edges_count_as_ancestors(file: File) -> None:
    """As in XTREME's conversion, where they are edges of the same graph."""
    text = conllu("1-2 x _ _", "1 a NOUN 3 3:obj|4:conj|8.1:x", "2 b ADP 3", "3 c VERB 0", "4 d VERB 3")
    assert words(file, text)[0] == (["x", "c", "d"], ["ADP", "VERB", "VERB"])


def test_empty_nodes_marks_and_spaces(file: File) -> None:
    text = conllu("1 می\u200cرود VERB 0", "1.1 gone VERB _", "2 10_000 NUM 1").replace("10_000", "10 000")
    assert words(file, text, "fa") == [(["میرود", "10000"], ["VERB", "NUM"])]


def test_sentences_taken_out_for_copyright_are_left_out(file: File) -> None:
    gone = conllu("1 _ DET 2", "2 _ NOUN 0", "3 _ PUNCT 2")
    nearly = conllu("1 _ DET 2", "2 a NOUN 0")
    underscore = conllu("1 _ SYM 2", "2 a NOUN 0", "3 b NOUN 2")
    assert [t for t, _ in words(file, gone + nearly + underscore)] == [["_", "a", "b"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (conllu("1 a NOUN 0") + "1\tb\n", r"x\.conllu:4: has 2 columns, where CoNLL-U has 10"),
        (conllu("1 a NOUN 0", "3 b NOUN 1"), r"x\.conllu:3: .*word 3 after word 1"),
        (conllu("1 a NOUN zero"), r"x\.conllu:2: is not a word of CoNLL-U"),
        (conllu("1 a NOUN 0", "2 b NOUN 1")[:-1], r"x\.conllu:3: ends inside a sentence: it was cut off"),
    ],
)
def test_what_is_wrong_is_named(file: File, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        words(file, text)


def test_treebanks(part: Part) -> None:
    tags = set(load("udpos").labels)
    for language in ("ar", "fr", "ta", "tr", "wo", "zh"):
        rows = part("udpos", f"{language}/test")
        assert 80 <= len(rows) <= 150
        assert all(len(r["tokens"]) == len(r["tags"]) for r in rows)
        assert {t for r in rows for t in r["tags"]} <= tags
        assert not any(" " in t or "\u200c" in t for r in rows for t in r["tokens"])
    assert not part("udpos", "kk/dev"), "Kazakh has no development set"


def test_panx(file: File) -> None:
    path = file("dev", "en:A\tB-PER\nen:b:c\tI-PER\n\nen:.\tO\n\n\nen:D\tB-LOC")
    rows = [(r.line, r.values) for r in read("panx", [path], "en")]
    assert rows == [
        (1, {"tokens": ["A", "b:c"], "tags": ["B-PER", "I-PER"]}),
        (4, {"tokens": ["."], "tags": ["O"]}),
        (7, {"tokens": ["D"], "tags": ["B-LOC"]}),
    ]


def test_panx_slices(part: Part, slices: Path) -> None:
    assert len(part("panx", "en/train")) == 2000
    assert len(part("panx", "yo/dev")) == 60
    assert not part("panx", "sw/test"), "the slices have no labelled test set"
    assert not part("panx", "th/dev")
    with pytest.raises(DataError, match=r"dev-sw\.tsv:1: is not `language:token<TAB>tag`"):
        list(read("panx", [slices / "fixtures/xtreme_layout/panx/dev-sw.tsv"], "sw"))


def test_ccgbank(file: File) -> None:
    text = (
        "ID=wsj_0001.1 PARSER=GOLD NUMPARSE=1\n"
        "(<T S[dcl] 0 2> (<L NP PRP PRP It NP>) (<T S[dcl]\\NP 0 2> (<L (S[dcl]\\NP)/NP VBZ VBZ has "
        "(S[dcl]\\NP_1)/NP_2>) (<L NP NN NN words NP>) ) ) \n"
    )
    options = {"known": ["NP", "(S[dcl]\\NP)/NP"], "rest": "other"}
    rows = [r.values for r in read("ccgbank", [file("wsj.auto", text)], "en", **options)]
    assert rows == [{"tokens": ["It", "has", "words"], "tags": ["NP", "(S[dcl]\\NP)/NP", "NP"]}]
    rows = [r.values for r in read("ccgbank", [file("wsj.auto", text)], "en", known=["NP"], rest="other")]
    assert rows[0]["tags"] == ["NP", "other", "NP"]
    with pytest.raises(DataError, match=r"wsj\.auto:1: has a leaf that is not"):
        list(read("ccgbank", [file("wsj.auto", "(<L NP PRP It>)\n")], "en", **options))
    with pytest.raises(DataError, match=r"wsj\.auto:1: is neither an ID line nor a derivation"):
        list(read("ccgbank", [file("wsj.auto", "It has words\n")], "en", **options))
