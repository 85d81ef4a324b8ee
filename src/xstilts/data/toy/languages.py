"""The languages of the toy world, which are nobody's: how much of each a model has read, and how it is built.

Order and resource are crossed: a verb-medial and a verb-final language in every tier, alike in all else but their
words. So the effect of resource can be read at equal order, and the other way round. The same holds for kinship among
the unseen: in each order one sister of a well-resourced language and one language without relatives.

Codes lie in the range ISO 639-3 leaves for private use (qaa to qtz) and spell tier and order: `qlf` is low, verb-final.
`en` is the English that task data is written in; its words are English, its grammar is ours.

Imports nothing heavy: planning reads this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tier = Literal["high", "mid", "low", "unseen"]
Order = Literal["medial", "final"]

#: letters of the words, consonants and vowels
SCRIPTS = {
    "Latn": ("bdfgklmnprstvz", "aeiou"),
    "Cyrl": ("бвгджзклмнпрст", "аеиоу"),
    "Grek": ("βγδζκλμνπρστφχ", "αειου"),
    "Geor": ("ბგდვზკლმნპრსტშ", "აეიოუ"),
}


@dataclass(frozen=True)
class Language:
    """One language. Verb-medial ones have prepositions, articles, the adjective after its noun and a question word in
    front; verb-final ones have postpositions, no articles, the adjective first and the question word in place."""

    code: str
    name: str
    tier: Tier
    size: float  # thousand documents of the pretraining corpus, the world's gigabytes
    order: Order
    script: str  # ISO 15924
    family: str
    parent: str | None = None  # the sister that its words are told from
    shape: str = "CV"  # of a syllable
    vowels: str | None = None  # where they are not the script's usual ones

    @property
    def letters(self) -> dict[str, str]:
        """Consonants (C) and vowels (V)."""
        consonants, vowels = SCRIPTS[self.script]
        return {"C": consonants, "V": self.vowels or vowels}

    @property
    def adjective_first(self) -> bool:
        return self.order == "final" or self.code == "en"


LANGUAGES = (
    Language("en", "English (toy)", "high", 24.0, "medial", "Latn", "source"),
    Language("qhm", "High medial", "high", 16.0, "medial", "Latn", "A"),
    Language("qhf", "High final", "high", 16.0, "final", "Cyrl", "B"),
    Language("qmm", "Mid medial", "mid", 4.0, "medial", "Grek", "C"),
    Language("qmf", "Mid final", "mid", 4.0, "final", "Latn", "D", shape="VC"),
    Language("qlm", "Low medial", "low", 0.6, "medial", "Latn", "E", vowels="äëïöü"),
    Language("qlf", "Low final", "low", 0.6, "final", "Geor", "F"),
    Language("qsm", "Sister medial", "unseen", 0.0, "medial", "Latn", "A", parent="qhm"),
    Language("qsf", "Sister final", "unseen", 0.0, "final", "Cyrl", "B", parent="qhf"),
    Language("qim", "Isolate medial", "unseen", 0.0, "medial", "Latn", "G"),
    Language("qif", "Isolate final", "unseen", 0.0, "final", "Latn", "H"),
)

BY_CODE = {language.code: language for language in LANGUAGES}
SOURCE = BY_CODE["en"]


def seen() -> dict[str, float]:
    """How much of each language the toy models have read, in thousand documents; 0 where they have read none."""
    return {language.code: language.size for language in LANGUAGES}
