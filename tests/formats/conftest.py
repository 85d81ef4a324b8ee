"""A tokenizer and an encoder small enough to check by hand, with the shapes and special tokens of XLM-R's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = "the a cat dog sat on mat ran saw it was because so what who where in paris london rain cold warm not"
PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789.,?!'-", "ing", "ed", "er", "ion"]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A word, or its letters behind a bare `▁`; other characters are <unk>, zero-width ones are nothing.

    <s>=0 <pad>=1 </s>=2 <unk>=3, <mask> last; `<s> A </s>` and `<s> A </s></s> B </s>`.
    """
    pieces = [("▁", -9.0)] + [(f"▁{word}", -3.0) for word in WORDS.split()] + [(piece, -8.0) for piece in PIECES]
    backend = Tokenizer(models.Unigram([(name, 0.0) for name in SPECIAL] + pieces + [("<mask>", 0.0)], unk_id=3))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(r"[\u200b-\u200f\ufeff]"), " "), normalizers.NFKC(), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", **names
    )


class StandIn(nn.Module):
    """What formats ask of `xstilts.model.encoder.Encoder`, without a transformer.

    Every state depends on its own token, its position and the whole of its own sequence, and on nothing else.
    """

    def __init__(self, vocabulary: int, hidden_size: int = 16) -> None:
        super().__init__()
        self.hidden_size, self.vocabulary, self.layers = hidden_size, vocabulary, 2
        self.left: dict[str, torch.Tensor] = {}
        self.config = SimpleNamespace(hidden_dropout_prob=0.1, initializer_range=0.02, layer_norm_eps=1e-5)
        self.embeddings = nn.Embedding(vocabulary, hidden_size)
        self.positions = nn.Embedding(512, hidden_size)
        self.mix = nn.Linear(hidden_size, hidden_size)

    def forward(self, tokens: torch.Tensor, starts: torch.Tensor, layers: int | None = None) -> torch.Tensor:
        sequence = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff())
        own = self.embeddings(tokens) + self.positions(torch.arange(len(tokens)) - starts[sequence])
        whole = torch.segment_reduce(own, "mean", offsets=starts, axis=0)
        return torch.tanh(self.mix(own + whole[sequence]))


@pytest.fixture
def encoder(tokenizer: PreTrainedTokenizerFast) -> StandIn:
    """Freshly initialised, the same every time; in training mode as every new module."""
    torch.manual_seed(0)
    return StandIn(len(tokenizer))
