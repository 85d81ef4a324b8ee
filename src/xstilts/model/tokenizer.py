"""Tokenizers: loaded from a folder of the library, never from the network, and what they put around texts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.errors import DataError, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What transformers' own loader needs; a bare SentencePiece file is all that XLM-R releases carry.
_FILES = ("tokenizer.json", "tokenizer_config.json")
_SENTENCEPIECE = "sentencepiece.bpe.model"


def load(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder.

    Raises `DataError` when the files are not a tokenizer with the special tokens an encoder needs.
    """
    # Threads of the tokenizer do not survive the forks that other libraries make, and it warns about it a line a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer, XLMRobertaTokenizer

    bare = not any((folder / name).exists() for name in _FILES)
    if bare and not (folder / _SENTENCEPIECE).exists():
        raise UserError(f"{folder} has no tokenizer: none of {', '.join([*_FILES, _SENTENCEPIECE])}")
    kind = XLMRobertaTokenizer if bare else AutoTokenizer
    try:
        tokenizer = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the Rust half raises a bare Exception on a file it cannot read
        raise DataError(folder, f"its tokenizer cannot be read ({_first_line(error)}); fetch the model again") from None
    for name in ("cls_token_id", "sep_token_id", "pad_token_id"):
        if getattr(tokenizer, name) is None:
            raise DataError(folder, f"its tokenizer has no {name[:-3]}, which an encoder needs")
    return tokenizer


@dataclass(frozen=True)
class Frame:
    """The special ids around one text, or around and between two: `before + text (+ between + text) + after`."""

    before: list[int]
    between: list[int]
    after: list[int]

    def __len__(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


def frame(tokenizer: PreTrainedTokenizerBase, pair: bool = False) -> Frame:
    """What this tokenizer puts around texts: `<s> a </s></s> b </s>` for XLM-R, `[CLS] a [SEP] b [SEP]` for BERT.

    Asked of the tokenizer itself, with probes, since transformers 5 has no call that says it.
    """
    encoded = tokenizer(*["a", "b"][: 1 + pair], return_special_tokens_mask=True)
    marked = zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    runs = [[token for token, _ in run] for special, run in groupby(marked, key=itemgetter(1)) if special]
    if len(runs) != 2 + pair:
        raise UserError(f"the tokenizer {tokenizer.name_or_path} does not put special tokens around and between texts")
    return Frame(runs[0], runs[1] if pair else [], runs[-1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
