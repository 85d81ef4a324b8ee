"""The words of the toy world: concepts and what is known of them, names, and each language's form of every concept.

A concept is named by its English word. Names, numbers and punctuation are the same in every language: they are the
anchors that real languages share too.
"""

from __future__ import annotations

from functools import cache

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.languages import BY_CODE, SCRIPTS, Language


def _words(line: str) -> list[str]:
    return line.split()


CLASSES = {
    "animal": _words("dog cat horse cow bird fish bear lion"),
    "food": _words("bread rice apple soup cheese cake milk honey"),
    "thing": _words("book pen knife chair bag hat coat key"),
    "vehicle": _words("car bus boat bike"),
    "place": _words("house market school park hill farm shop garden"),
    "person": _words("doctor farmer teacher baker singer king soldier judge"),
}
CLASS = {noun: kind for kind, nouns in CLASSES.items() for noun in nouns}
NOUNS = list(CLASS)

_SYNONYMS = (
    "dog hound,car auto,house home,doctor physician,boat ship,bag sack,hill mount,shop store,buy purchase,see notice,"
    "like love,hate dislike,find discover,fix repair,help assist,take grab,big large,small little,fast quick,"
    "happy glad,bad awful,old ancient,sleep doze,run dash,cry weep,tired weary,sick ill"
)
#: each word of a pair points to the other
SYNONYM = {a: b for pair in _SYNONYMS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
#: the second word of a pair points to the first, which stands for both
PLAIN = {pair.split()[1]: pair.split()[0] for pair in _SYNONYMS.split(",")}

#: what can be done to what
OBJECTS = {
    verb: kinds.split()
    for verbs, kinds in {
        "eat cook": "food",
        "see find like hate want": "animal food thing vehicle place person",
        "buy sell take": "animal food thing vehicle",
        "read": "thing",
        "drive": "vehicle",
        "feed chase": "animal",
        "break fix lose": "thing vehicle",
        "meet help teach": "person",
        "visit": "place",
    }.items()
    for verb in verbs.split()
}
INTRANSITIVE = _words("sleep run sing walk cry laugh")
COLOURS = _words("red blue green black")
_OPPOSITES = "big small,old young,hot cold,good bad,happy sad,fast slow"
OPPOSITE = {a: b for pair in _OPPOSITES.split(",") for a, b in (pair.split(), pair.split()[::-1])}
ADJECTIVES = COLOURS + list(OPPOSITE)
STATES = _words("hungry tired sick")  # of people only
DAYS = _words("today yesterday tomorrow")  # at most one of them holds
TIMES = [*DAYS, "now", "often", "always"]
PREPOSITIONS = _words("in near behind")
NUMBERS = [str(number) for number in range(2, 13)]
FIRMS = _words("bank club")  # the second word of an organisation's name

UPOS = {
    **dict.fromkeys([*NOUNS, *CLASSES, *FIRMS], "NOUN"),
    **dict.fromkeys([*OBJECTS, *INTRANSITIVE, "live", "work", "give"], "VERB"),
    **dict.fromkeys([*ADJECTIVES, *STATES], "ADJ"),
    **dict.fromkeys([*TIMES, "why"], "ADV"),
    **dict.fromkeys([*PREPOSITIONS, "to", "for"], "ADP"),
    **dict.fromkeys(_words("the a every some"), "DET"),
    **dict.fromkeys(_words("did will is"), "AUX"),
    **dict.fromkeys(_words("who what where"), "PRON"),
    **dict.fromkeys(_words("and so"), "CCONJ"),
    "because": "SCONJ",
    "not": "PART",
}
UPOS |= {second: UPOS[first] for second, first in PLAIN.items()}
CONCEPTS = sorted(UPOS)
UPOS |= dict.fromkeys(NUMBERS, "NUM") | dict.fromkeys(".?,{}", "PUNCT")


def _names(count: int) -> list[str]:
    """Different names of two or three open syllables."""
    dice, names = Dice("names"), list[str]()
    consonants, vowels = SCRIPTS["Latn"]
    while len(names) < count:
        syllables = [dice.pick(consonants) + dice.pick(vowels) for _ in range(dice.pick((2, 2, 3)))]
        name = "".join(syllables).capitalize()
        if name not in names:
            names.append(name)
    return names


NAMES = _names(80)
#: the kinds overlap, so that a name alone does not tell what bears it
PEOPLE, TOWNS, COMPANIES = NAMES[:44], NAMES[34:62], NAMES[54:80]


@cache
def forms(code: str) -> dict[str, str]:
    """A language's word for every concept. Anything else is its own form."""
    language = BY_CODE[code]
    if language.code == "en":
        return {concept: concept for concept in CONCEPTS}
    dice, taken = Dice("forms", code), set(CONCEPTS)
    inherited = _inherited(language, dice) if language.parent else {}
    out = dict(inherited)
    taken.update(inherited.values())
    for concept in CONCEPTS:
        while concept not in out:
            word = _coin(language, dice, content=UPOS[concept] in {"NOUN", "VERB", "ADJ", "ADV"})
            if word not in taken:
                out[concept] = word
                taken.add(word)
    return out


def _coin(language: Language, dice: Dice, content: bool) -> str:
    """A new word: two or three syllables for content words, one or two for the others."""
    count = dice.pick((2, 2, 3) if content else (1, 2))
    return "".join(dice.pick(language.letters[kind]) for _ in range(count) for kind in language.shape)


def _inherited(language: Language, dice: Dice) -> dict[str, str]:
    """The words a sister keeps: half as they are, most others through regular sound changes, the rest lost."""
    consonants, vowels = language.letters["C"], language.letters["V"]
    changes = str.maketrans({consonants[3]: consonants[9], consonants[4]: consonants[8], vowels[0]: vowels[3]})
    out, used = dict[str, str](), set(CONCEPTS)
    for concept, word in forms(str(language.parent)).items():
        draw = dice.below(100)
        kept = word if draw < 50 else word.translate(changes) if draw < 85 else None
        if kept and kept not in used:
            out[concept] = kept
            used.add(kept)
    return out
