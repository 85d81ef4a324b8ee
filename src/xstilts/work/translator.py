"""Translation by an open sequence-to-sequence model: M2M100, NLLB and mBART, which know many languages, or Marian.

Its folder is as the hub lays it out, with safetensors. Deterministic: the most probable token each time, or beams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase

from xstilts.errors import UserError, choices
from xstilts.work.machine import Machine


@dataclass(frozen=True)
class Said:
    """A text and its translation."""

    text: str
    translation: str
    cut: bool  # the text was longer than the model reads, or its translation did not end within its length


@dataclass
class Translator:
    """From one language into one other."""

    model: Any  # of transformers, one that generates
    tokenizer: PreTrainedTokenizerBase
    machine: Machine
    begin: int | None  # the token that a translation begins with: the language, where the model knows several
    prefix: str  # before every text: Marian's way to say the same
    beams: int
    length: int  # tokens of a translation, at most

    @classmethod
    def load(cls, folder: Path, source: str, target: str, machine: Machine, beams: int, length: int) -> Translator:
        """`source` and `target` are the model's own codes, such as en and sw, or eng_Latn and swh_Latn of NLLB."""
        if not (folder / "config.json").is_file():
            how = f"`hf download OWNER/NAME --local-dir {folder}` fetches one"
            raise UserError(f"{folder} has no config.json, so it is no translation model; {how}")
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, TypeError) as error:  # the last of a tokenizer whose files are not there
            why = str(error).strip().splitlines()[0]
            raise UserError(f"{folder} is no whole model with a tokenizer and safetensors: {why}") from None
        begin, prefix = _direction(tokenizer, source, target)
        return cls(model.eval().to(machine.device), tokenizer, machine, begin, prefix, beams, length)

    def translate(self, texts: Sequence[str]) -> Iterator[list[Said]]:
        """All texts, a batch at a time, in an order of their lengths."""
        limit = min(self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", 1 << 30))
        sizes = [len(ids) for ids in self.tokenizer([self.prefix + text for text in texts])["input_ids"]]
        for batch in _batches(sizes, self.machine.budget // self.beams):
            given = [texts[place] for place in batch]
            long = [sizes[place] > limit for place in batch]
            yield [Said(*said) for said in zip(given, *self._batch(given, long, limit), strict=True)]

    @torch.inference_mode()
    def _batch(self, texts: list[str], long: list[bool], limit: int) -> tuple[list[str], list[bool]]:
        words: dict[str, Any] = {"return_tensors": "pt", "padding": True, "truncation": True, "max_length": limit}
        read = self.tokenizer([self.prefix + text for text in texts], **words).to(self.machine.device)
        begin = {} if self.begin is None else {"forced_bos_token_id": self.begin}
        with self.machine.autocast():
            ids = self.model.generate(
                **read, **begin, num_beams=self.beams, do_sample=False, max_new_tokens=self.length
            )
        # A decoder may begin with the end's token, and some models have it forced upon the last place.
        ended = (ids[:, 1 : self.length] == self.tokenizer.eos_token_id).any(dim=1).tolist()
        # transformers 5.23 does not take M2M100's language for a special token once it was saved and loaded.
        words_alone = [[token for token in row if token != self.begin] for row in ids.tolist()]
        found = [text.strip() for text in self.tokenizer.batch_decode(words_alone, skip_special_tokens=True)]
        return found, [was or not end for was, end in zip(long, ended, strict=True)]


def _direction(tokenizer: PreTrainedTokenizerBase, source: str, target: str) -> tuple[int | None, str]:
    """How a model is told its languages: the token a translation begins with, and what stands before a text."""
    if not hasattr(tokenizer, "src_lang"):  # Marian: of one pair, or with the target before the text
        codes = {code.strip("<>") for code in getattr(tokenizer, "supported_language_codes", ())}
        _known([target] if codes else [], codes)
        return None, f">>{target}<< " if codes else ""
    languages = getattr(tokenizer, "lang_code_to_id", None) or {
        token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens
    }
    _known([source, target], set(languages))
    tokenizer.src_lang = source
    return int(languages[target]), ""


def _known(asked: Sequence[str], codes: set[str]) -> None:
    for code in asked:
        if code not in codes:
            raise UserError(f"the translation model has no language {code!r} (--codes); {choices(code, codes)}")


def _batches(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of texts of about one length, the longest first; a batch with its padding has at most `budget` tokens."""
    order = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    while order:
        many = max(1, budget // sizes[order[0]])
        yield order[:many]
        order = order[many:]
