"""Where English sentences end: enough for encyclopedic prose, as SQuAD's paragraphs are.

LAReQA's own files carry their sentence boundaries; SQuAD's, which it is trained on, do not.
"""

from __future__ import annotations

import regex

_TITLES = "Mr Mrs Ms Dr Prof Rev Fr St Sta Msgr Lt Gen Col Maj Adm Capt Sgt Rep Gov Sen Pres Hon Jr Sr Mt Ft"
_SHORT = "vs v c ca cf p pp no No Vol vol approx e.g i.e a.k.a Jan Feb Aug Sept Oct Nov Dec Inc Ltd Co Corp"
ABBREVIATIONS = frozenset(f"{_TITLES} {_SHORT}".split())
_OPENERS = "The This That These Those It In On By At As He She They During After Under Although However Meanwhile But"
#: Words that begin sentences and seldom follow an abbreviation inside one.
OPENERS = frozenset(_OPENERS.split())
#: The end of a sentence: its mark, what closes behind it, notes in brackets; then white space, and how the next begins.
_END = regex.compile(
    r"""(?P<mark>[.?!]["'”’)\]]*(?:\[[\w ?]+\])*)   # '." [citation needed]'
        (?P<gap>\s+)
        (?=["'“‘(\[]*[\p{Lu}\p{Nd}])""",
    regex.VERBOSE,
)
_WORD_BEFORE = regex.compile(r"(?:[\w.&-]*\w)$")
_WORD_AFTER = regex.compile(r"""["'“‘(\[]*([\w'-]+)""")


def sentences(text: str) -> list[tuple[int, int]]:
    """Beginning and end (in characters, half open) of every sentence, without the white space around them."""
    cuts = [match.span("gap") for match in _END.finditer(text) if not _inside(text, match)]
    begins = [0, *(end for _, end in cuts)]
    ends = [*(begin for begin, _ in cuts), len(text)]
    found = []
    for begin, end in zip(begins, ends, strict=True):
        sentence = text[begin:end]
        left = len(sentence) - len(sentence.lstrip())
        if sentence.strip():
            found.append((begin + left, begin + left + len(sentence.strip())))
    return found


def _inside(text: str, match: regex.Match[str]) -> bool:
    """Whether a full stop ends an abbreviation or an initial within a sentence."""
    if match["mark"] != ".":
        return False
    word = _WORD_BEFORE.search(text, max(0, match.start() - 40), match.start())
    following = _WORD_AFTER.match(text, match.end())
    if word is None or (following and following[1] in OPENERS):
        return False
    initial = len(word[0]) == 1 and word[0].isupper()  # "John F. Kennedy"
    return initial or word[0] in ABBREVIATIONS or bool(regex.fullmatch(r"(?:\p{Lu}\.)+\p{Lu}", word[0]))
