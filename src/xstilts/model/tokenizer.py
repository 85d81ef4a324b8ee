"""Tokenizers: loaded from a folder of the library, never from the network."""

from __future__ import annotations

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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
