"""A tokenizer and an encoder small enough to check by hand, with the shapes and special tokens of XLM-R's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from xstilts.data.batches import Batch, gather
from xstilts.formats.base import Format, Limits, Outputs
from xstilts.model.tokenizer import load
from xstilts.task import Task

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


@pytest.fixture(scope="session")
def xlmr(slices: Path) -> PreTrainedTokenizerBase:
    """XLM-R's own tokenizer; three seconds to load."""
    return load(slices / "tokenizer")


class Run:
    """Training and inference in small, over any cut of the units, dropout off."""

    def __init__(
        self,
        form: Format,
        task: Task,
        table: pa.Table,
        tokenizer: PreTrainedTokenizerBase,
        encoder: StandIn,
        limits: Limits,
    ) -> None:
        self.form, self.tokenizer, self.encoder = form, tokenizer, encoder.eval()
        self.features = form.features(table, task, tokenizer, limits)
        self.head = form.head(task, encoder).eval()  # type: ignore[arg-type]
        for parameter in self.head.parameters():
            torch.nn.init.normal_(parameter)  # large, so that items differ

    def cut(self, seed: int) -> list[np.ndarray]:
        """All units in random order, in groups of random size."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.features))
        return np.split(order, np.sort(rng.choice(len(order), rng.integers(len(order)), replace=False))[1:])

    def batch(self, index: np.ndarray) -> Batch:
        return self.form.corrupt(gather(self.features, index), self.tokenizer, np.random.default_rng(0))

    @torch.no_grad()
    def outputs(self, cut: Iterable[np.ndarray]) -> Outputs:
        """What the head says, put in the order of the features."""
        found: Outputs = {}
        for index in cut:
            batch = self.batch(index)
            for name, values in self.form.outputs(self.head, self.encoder(batch.tokens, batch.starts), batch).items():
                places, count = self.places(self.form.aligned[name], index)
                assert len(values) == len(places)
                found.setdefault(name, np.zeros((count, *values.shape[1:]), values.numpy().dtype))[places] = values
        return found

    def places(self, align: str, index: np.ndarray) -> tuple[np.ndarray, int]:
        """Where in the features the units (or their sequences, tokens) are, and how many there are in all."""
        bounds = np.arange(len(self.features) + 1)
        if align != "unit":
            bounds = self.features.units if align == "sequence" else self.features.starts[self.features.units]
        return np.concatenate([np.arange(bounds[unit], bounds[unit + 1]) for unit in index]), bounds[-1]

    def gradient(self, cut: Iterable[np.ndarray]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The mean loss of one step that is cut so, and its gradient for every parameter."""
        sums, counts = [], []
        for index in cut:
            batch = self.batch(index)
            loss, count = self.form.loss(self.head, self.encoder(batch.tokens, batch.starts), batch)
            assert loss.shape == count.shape == ()
            sums.append(loss)
            counts.append(count)
        mean = torch.stack(sums).sum() / torch.stack(counts).sum()
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        return mean.detach(), list(torch.autograd.grad(mean, parameters))


@pytest.fixture
def run(tokenizer: PreTrainedTokenizerFast, encoder: StandIn) -> Callable[..., Run]:
    """`run(form, task, table, max_length)`: a `Run` with the tiny tokenizer and encoder."""

    def make(form: Format, task: Task, table: pa.Table, max_length: int = 32) -> Run:
        return Run(form, task, table, tokenizer, encoder, Limits(max_length))

    return make
