"""Masked language modelling of plain text: continued pretraining, and the pretraining of the toy models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn import functional as F

from xstilts.data.batches import Batch, Features
from xstilts.errors import UserError, choices
from xstilts.formats.base import Format, Limits, Outputs, Part, Score
from xstilts.formats.heads import linear
from xstilts.formats.labels import IGNORED
from xstilts.formats.sequences import Frame, Ragged, by_item, one_a_unit, tokenize
from xstilts.scoring.accuracy import accuracy
from xstilts.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xstilts.model.encoder import Encoder

MASKED, REPLACED = 0.8, 0.1  # of the chosen tokens; the others stay what they are (Devlin et al. 2019)
FREQUENT = 0.0015  # the share of the text from which on a token is chosen less often


@dataclass(frozen=True)
class Masking:
    """`task.options`: how often a token is chosen to be predicted.

    With `frequency_weighted`, a token that makes up the share f > FREQUENT of the part's text is chosen with
    mask_rate * sqrt(FREQUENT / f), after Lample and Conneau 2019, so that small models see more than function words.
    """

    mask_rate: float = 0.15
    frequency_weighted: bool = False

    @classmethod
    def of(cls, task: Task) -> Masking:
        known = [f.name for f in fields(cls)]
        for key in task.options:
            if key not in known:
                raise UserError(f"task {task.name}: unknown option {key!r}; {choices(key, known)}")
        return cls(**task.options)

    def rates(self, tokens: np.ndarray, special: list[int]) -> np.ndarray:
        """The probability that each token is chosen, float32 [T]; 0 of special ones."""
        rate = np.where(np.isin(tokens, special), 0, self.mask_rate)
        if self.frequency_weighted:
            counts = np.bincount(tokens, weights=rate > 0)
            share = counts / max(counts.sum(), 1)
            rate *= np.minimum(1, np.sqrt(FREQUENT / np.maximum(share, FREQUENT)))[tokens]
        return rate.astype(np.float32)


class LanguageModelHead(nn.Module):
    """dense, gelu, layer norm, and the encoder's own embeddings as output layer: [N, H] -> [N, vocabulary].

    The embeddings are the encoder's parameter, which is saved with it; here they are only looked at.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.dense = linear(encoder, encoder.hidden_size)
        self.layer_norm = nn.LayerNorm(encoder.hidden_size, eps=encoder.config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(encoder.vocabulary))
        self._embeddings = (encoder.embeddings,)  # in a tuple, where torch does not take it for a part of the head

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return F.linear(self.layer_norm(F.gelu(self.dense(states))), self._embeddings[0].weight, self.bias)


class MaskedLanguageModel(Format):
    """A text that is longer than a sequence is several units; nothing is lost."""

    name = "mlm"
    whole_vocabulary = True
    columns = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
    aligned: ClassVar[Mapping[str, str]] = {"best": "token", "gold": "token", "loss": "token"}

    def features(self, table: pa.Table, task: Task, tokenizer: PreTrainedTokenizerBase, limits: Limits) -> Features:
        if tokenizer.mask_token_id is None:
            raise UserError(f"task {task.name} masks tokens, and the tokenizer has no mask token")
        frame = Frame.of(tokenizer)
        text = tokenize(tokenizer, table["text"].to_pylist())
        pieces, item = _pieces(text, int(frame.room(limits.max_length)))
        features = one_a_unit(frame.around(pieces), item)
        rates = Masking.of(task).rates(features.tokens, tokenizer.all_special_ids)
        features.fields["rate"] = ("token", rates)
        return features

    def head(self, task: Task, encoder: Encoder) -> LanguageModelHead:
        """Pretrained where the encoder's weights file had it (`lm_head.*`), fresh otherwise."""
        head = LanguageModelHead(encoder)
        left = {name.removeprefix("lm_head."): w for name, w in encoder.left.items() if name.startswith("lm_head.")}
        left.pop("decoder.weight", None)  # the embeddings once more
        if "decoder.bias" in left:
            left["bias"] = left.pop("decoder.bias")  # some versions save it by both its names
        if left:
            head.load_state_dict(left)
        return head

    def corrupt(self, batch: Batch, tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator) -> Batch:
        """Chooses tokens by their `rate`, hides most of them, and puts what they were into the field `labels` [T].

        Where they are is in the field `chosen` [N], rising: a device that looked for them would have to be waited for.
        One number is drawn from `rng`; what happens to a token follows from it, the unit and the place in the unit.
        So the same draw masks a unit alike in whatever company it comes, and a cut of the batch changes nothing.
        """
        tokens, rate = batch.tokens.cpu().numpy(), batch.fields["rate"].cpu().numpy()
        chosen, fate, other = _uniform(rng.integers(2**64, dtype=np.uint64), batch)
        chosen = chosen < rate
        hidden = np.select(
            [fate < MASKED, fate < MASKED + REPLACED], [tokenizer.mask_token_id, _ordinary(other, tokenizer)], tokens
        )
        made = {"labels": np.where(chosen, tokens, IGNORED), "chosen": np.flatnonzero(chosen)}
        fields = {name: torch.from_numpy(values).to(batch.tokens) for name, values in made.items()}
        seen = torch.from_numpy(np.where(chosen, hidden, tokens)).to(batch.tokens)
        return replace(batch, tokens=seen, fields={**batch.fields, **fields})

    def loss(self, head: nn.Module, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy over the vocabulary, one term a chosen token; the head runs on those only."""
        chosen = batch.fields["chosen"]
        logits, gold = head(hidden.index_select(0, chosen)).float(), batch.fields["labels"].index_select(0, chosen)
        return F.cross_entropy(logits, gold, reduction="sum"), torch.full((), len(chosen), device=gold.device)

    def outputs(self, head: nn.Module | None, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """Of every chosen token, and IGNORED of others: `best` and `gold` [T], ids; `loss` [T] in nats, 0 of others."""
        assert head is not None
        gold, chosen = batch.fields["labels"], batch.fields["chosen"]
        logits = head(hidden.index_select(0, chosen)).float()
        losses = F.cross_entropy(logits, gold.index_select(0, chosen), reduction="none")
        best, loss = torch.full_like(gold, IGNORED), torch.zeros(len(gold), device=gold.device)
        best, loss = best.index_copy(0, chosen, logits.argmax(-1)), loss.index_copy(0, chosen, losses)
        return {"best": best, "gold": gold, "loss": loss}

    def decode(
        self,
        outputs: Mapping[Part, Outputs],
        features: Mapping[Part, Features],
        tables: Mapping[Part, pa.Table],
        task: Task,
    ) -> dict[Part, pa.Table]:
        """`prediction` and `gold`, the ids at an item's chosen places, and `loss`, summed over them in nats."""
        return {part: _predictions(outputs[part], features[part], table) for part, table in tables.items()}

    def score(self, predictions: Mapping[Part, pa.Table], task: Task) -> list[Score]:
        """`accuracy` in percent and mean `loss` in nats over chosen tokens; comparable at one tokenizer only."""
        scores = []
        for part, table in predictions.items():
            gold, best = (table[name].combine_chunks().flatten().to_numpy() for name in ("gold", "prediction"))
            loss = np.sum(table["loss"].to_numpy()) / len(gold) if len(gold) else float("nan")
            scores += [
                Score(*part, "accuracy", "masked", accuracy(gold, best), table.num_rows),
                Score(*part, "loss", "masked", float(loss), table.num_rows),
            ]
        return scores


def _pieces(text: Ragged, room: int) -> tuple[Ragged, np.ndarray]:
    """Every text cut into pieces of `room` sub-words and a rest, and the text each is of; an empty one is one piece."""
    count = np.maximum(1, -(-text.lengths // room))
    item = np.repeat(np.arange(len(text)), count)
    within = np.arange(len(item)) - np.repeat(np.cumsum(count) - count, count)
    begin = text.starts[:-1][item] + within * room
    return text.spans(begin, np.minimum(room, text.starts[1:][item] - begin)), item


def _uniform(seed: np.uint64, batch: Batch) -> np.ndarray:
    """Three numbers in [0, 1) a token, float64 [3, T], from the seed, its unit and its place in it.

    A hash in place of a stream of numbers (the finaliser of SplitMix64, Steele et al. 2014), since a stream would give
    a unit other numbers in other company.
    """
    starts, units = (positions.cpu().numpy() for positions in (batch.starts, batch.units))
    lengths = np.diff(starts[units])
    unit = np.repeat(batch.index, lengths).astype(np.uint64)
    place = (np.arange(len(unit)) - np.repeat(np.cumsum(lengths) - lengths, lengths)).astype(np.uint64)
    token = _mix(_mix(unit + seed) + place)
    return (np.stack([_mix(token + np.uint64(k)) for k in range(1, 4)]) >> np.uint64(11)) / 2.0**53


def _mix(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 in which every bit depends on every other; wraps around on purpose."""
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _ordinary(uniform: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Ids that are not special, evenly, from numbers in [0, 1): int64 of the same shape."""
    special = sorted(set(tokenizer.all_special_ids))
    ids = (uniform * (len(tokenizer) - len(special))).astype(np.int64)
    for one in special:
        ids += ids >= one
    return ids


def _predictions(outputs: Outputs, features: Features, table: pa.Table) -> pa.Table:
    chosen = outputs["gold"] != IGNORED
    item = np.repeat(features.item, features.lengths)[chosen]
    lists = {name: by_item(pa.array(outputs[name][chosen]), item, table.num_rows) for name in ("best", "gold")}
    loss = np.bincount(item, weights=outputs["loss"][chosen], minlength=table.num_rows)
    return pa.table({"id": table["id"], "prediction": lists["best"], "gold": lists["gold"], "loss": loss})
