"""The encoder: a stock Hugging Face model, read through an adapter, flat in and flat out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModel
from transformers.initialization import no_init_weights

from xstilts.errors import UserError
from xstilts.model import adapters, weights
from xstilts.model import dropout as dropouts
from xstilts.model.embeddings import Embeddings
from xstilts.model.firsts import only
from xstilts.model.packing import NAME, Packing

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class Encoder(nn.Module):
    """Turns tokens into hidden states; nothing outside sees padding.

    Of `architecture` (a Hugging Face `model_type`) and `config` (its settings). The weights are random, drawn from
    torch's global generator, unless `empty`, when they are left as they come for `load` to fill.
    """

    row: torch.Tensor | None

    def __init__(
        self, architecture: str, config: Mapping[str, Any], dropout: float | None = None, empty: bool = False
    ) -> None:
        super().__init__()
        self.adapter = adapters.get(architecture)
        self.config: PretrainedConfig = adapters.configure(architecture, config, dropout)
        with no_init_weights() if empty else nullcontext():
            self.model: PreTrainedModel = AutoModel.from_config(
                self.config, attn_implementation=NAME, **self.adapter.options
            )
        dropouts.install(self.model)
        self.register_buffer("row", None, persistent=False)  # int64 [V], of every id; see `keep_rows`
        self.left: dict[str, torch.Tensor] = {}  # see `load_rest`: such as `lm_head.*`, which a head may start from

    @property
    def hidden_size(self) -> int:
        return int(self.config.hidden_size)

    @property
    def layers(self) -> int:
        """Transformer blocks."""
        return int(self.config.num_hidden_layers)

    @property
    def vocabulary(self) -> int:
        """Ids, which is rows of the whole embedding table."""
        return int(self.config.vocab_size)

    @property
    def embeddings(self) -> nn.Embedding:
        """Of the sub-words."""
        table = self.model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        return table

    @torch.no_grad()
    def keep_rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Keep only the rows of `ids` (rising, the padding's among them) in the embedding table; gives the whole one.

        Tokens are still given by their ids; one that was not kept raises `IndexError`.
        """
        whole = self.embeddings.weight.detach()
        self.row = torch.full((len(whole),), -1)
        self.row[ids] = torch.arange(len(ids))
        padding = int(self.row[self.config.pad_token_id])
        self.model.set_input_embeddings(Embeddings(whole[ids], padding))
        return whole

    @property
    def longest(self) -> int:
        """Tokens that a sequence can have at most."""
        return int(self.config.max_position_embeddings) - self.adapter.first_position(self.config)

    def load(self, path: Path) -> None:
        """Fill every weight from a safetensors file, whatever prefix its names carry.

        Raises `DataError` naming what the file lacks or has in another shape.
        """
        weights.fill(self.model, path, self._prefix)

    def load_rest(self, path: Path) -> None:
        """Keep in `left` what a file has beside the encoder's weights."""
        self.left = weights.rest(self.model, path, self._prefix)

    @property
    def _prefix(self) -> str:
        """What models with a head put before the names of their encoder's weights."""
        return f"{self.model.base_model_prefix}."

    def check(self, vocabulary: int, max_length: int) -> None:
        """Raises `UserError` when a tokenizer of `vocabulary` ids, or sequences of `max_length`, do not fit."""
        if vocabulary > self.vocabulary:
            raise UserError(
                f"the tokenizer has {vocabulary} ids and the model has only {self.vocabulary} rows (vocab_size): "
                "they are not of the same model"
            )
        if max_length > self.longest:
            raise UserError(f"max_length={max_length} is more than the {self.longest} positions of the model")

    def forward(
        self,
        tokens: torch.Tensor,
        starts: torch.Tensor,
        layers: int | None = None,
        lengths: np.ndarray | None = None,
        firsts: bool = False,
    ) -> torch.Tensor:
        """Hidden states [T, H] of tokens [T], sequence s being starts[s]:starts[s+1].

        `layers=k` runs the first k blocks only and gives their output (0: the embeddings'). `lengths` are the
        sequences', for a caller that knows them without asking the device. With `firsts` only the states of the
        sequences' first tokens mean anything; where that saves work the others are NaN.
        """
        packing = Packing.of(starts.diff().cpu().numpy() if lengths is None else lengths, tokens.device)
        if packing.order is not None:
            tokens = tokens.index_select(0, packing.order)
        if self.row is not None:
            tokens = self.row[tokens]
        depth = self.layers if layers is None else min(layers, self.layers)
        firsts = firsts and depth > 0 and self.adapter.bert
        with ExitStack() as stack:
            stack.enter_context(adapters.truncated(self.model, self.adapter, depth))
            if firsts:
                stack.enter_context(only(self.model.get_submodule(f"{self.adapter.blocks}.{depth - 1}"), packing))
            hidden = self.model(
                input_ids=tokens[None],
                position_ids=(packing.places + self.adapter.first_position(self.config))[None],
                packing=packing,
            ).last_hidden_state.squeeze(0)
        if firsts:
            states = hidden.index_select(0, packing.turned_back)
            return hidden.new_full((len(tokens), self.hidden_size), torch.nan).index_copy(0, starts[:-1], states)
        return hidden if packing.back is None else hidden.index_select(0, packing.back)
