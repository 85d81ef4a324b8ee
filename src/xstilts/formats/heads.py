"""The small networks that heads are made of, as XLM-R's stock heads make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from xstilts.model.dropout import Dropout

if TYPE_CHECKING:
    from xstilts.model.encoder import Encoder


def linear(encoder: Encoder, outputs: int, inputs: int | None = None) -> nn.Linear:
    """A linear map of the encoder's states, its weights drawn as the encoder's own were and its bias zero."""
    layer = nn.Linear(inputs or encoder.hidden_size, outputs)
    nn.init.normal_(layer.weight, std=encoder.config.initializer_range)
    nn.init.zeros_(layer.bias)
    return layer


class SentenceHead(nn.Module):
    """dense, tanh, dropout, linear on a sequence's first state: [S, H] -> [S, outputs].

    With `dropout_first` there is a dropout before them too: stock XLM-R classifies so, and pools for choices without.
    """

    def __init__(self, encoder: Encoder, outputs: int, dropout_first: bool) -> None:
        super().__init__()
        self.dense = linear(encoder, encoder.hidden_size)
        self.dropout = Dropout(encoder.config.hidden_dropout_prob)
        self.out_proj = linear(encoder, outputs)
        self.dropout_first = dropout_first

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if self.dropout_first:
            states = self.dropout(states)
        return self.out_proj(self.dropout(torch.tanh(self.dense(states))))
