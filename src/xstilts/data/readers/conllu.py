"""Universal Dependencies in CoNLL-U, as XTREME turns them into sentences of words with a part of speech.

What XTREME does and this repeats: a multiword token (`3-4 zum`) is one word, in its written form, with the part of
speech of its syntactic head; zero-width non-joiners and spaces inside words are removed; sentences whose words were
taken out for copyright (`_`) are left out; all treebanks of a language are read in the order of their file names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xstilts.data.readers.lines import lines
from xstilts.data.rows import Row
from xstilts.errors import DataError

ZERO_WIDTH_NON_JOINER = "\u200c"
#: Which part of speech a fused form takes when several of its words are equally near to the root, best first.
RANKS = {
    "default": "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT",
    "es": "VERB AUX PRON ADP DET",
    "fr": "VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ CONJ",
    "it": "VERB AUX ADV PRON ADP DET INTJ",
}


@dataclass
class Word:
    form: str
    tag: str
    heads: list[int]  # of the basic tree, then of the enhanced graph where there is one


@dataclass
class Sentence:
    line: int
    words: dict[int, Word] = field(default_factory=dict)  # by CoNLL-U index, from 1
    fused: list[tuple[int, int, str]] = field(default_factory=list)  # first and last word, written form


def read(paths: Sequence[Path], language: str) -> Iterator[Row]:
    ranks = RANKS.get(language, RANKS["default"]).split()
    for path in paths:
        for sentence in _sentences(path):
            _fuse(sentence, ranks)
            words = sentence.words.values()
            taken_out = sum(word.form == "_" for word in words)
            if taken_out == 0 or taken_out < len(words) - 1:
                tokens = [w.form.replace(ZERO_WIDTH_NON_JOINER, "").replace(" ", "") for w in words]
                yield Row(path, sentence.line, {"tokens": tokens, "tags": [w.tag for w in words]})


def _sentences(path: Path) -> Iterator[Sentence]:
    sentence: Sentence | None = None
    for number, line in lines(path):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = None
        elif not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != 10:
                raise DataError(path, f"has {len(cells)} columns, where CoNLL-U has 10", number)
            sentence = sentence or Sentence(number)
            try:
                _add(sentence, cells)
            except ValueError as error:
                raise DataError(path, f"is not a word of CoNLL-U ({error})", number) from None
    if sentence:
        raise DataError(path, "ends inside a sentence: it was cut off", number)


def _add(sentence: Sentence, cells: list[str]) -> None:
    index, form, tag, head, enhanced = cells[0], cells[1], cells[3], cells[6], cells[8]
    if "." in index:  # an empty node of the enhanced graph, which is no word
        return
    if "-" in index:
        first, last = map(int, index.split("-"))
        sentence.fused.append((first, last, form))
        return
    if int(index) != len(sentence.words) + 1:
        raise ValueError(f"word {index} after word {len(sentence.words)}")
    heads = [int(head)] if head != "_" else []
    if enhanced != "_":
        heads += [int(h) for h in (edge.split(":")[0] for edge in enhanced.split("|")) if h.isdigit()]
    sentence.words[int(index)] = Word(form.strip(), tag.strip(), heads)


def _fuse(sentence: Sentence, ranks: list[str]) -> None:
    """Replace the words of every multiword token by one."""
    heads = {first: _head(sentence, range(first, last + 1), ranks) for first, last, _ in sentence.fused}
    for first, last, form in sentence.fused:
        tag = sentence.words[heads[first]].tag
        for index in range(first + 1, last + 1):
            del sentence.words[index]
        sentence.words[first] = Word(form.strip(), tag, [])


def _head(sentence: Sentence, span: range, ranks: list[str]) -> int:
    """The word of the span with the fewest ancestors; of several, the one whose tag ranks best."""
    depth = {index: len(_ancestors(sentence, index)) for index in span}
    highest = [index for index in span if depth[index] == min(depth.values())]
    rank = {tag: place for place, tag in enumerate(ranks)}
    return min(highest, key=lambda index: rank.get(sentence.words[index].tag, len(ranks)))


def _ancestors(sentence: Sentence, index: int) -> set[int]:
    """All words from which this one is reached, the root (0) included and itself not."""
    found: set[int] = set()
    left = list(sentence.words[index].heads)
    while left:
        head = left.pop()
        if head not in found:
            found.add(head)
            left += sentence.words[head].heads if head in sentence.words else []
    return found - {index}
