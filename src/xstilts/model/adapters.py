"""What differs between encoder architectures, one small record each.

Everything else is the stock Hugging Face class. To add an architecture, add its record here and its name to
`tests/model/test_encoder.py`, which proves early stopping, positions and padding against the stock class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from xstilts.errors import UserError, choices

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Adapter:
    """Where an architecture keeps things, and how it names them."""

    blocks: str  # path of the list of transformer blocks
    norm: str | None  # path of a normalisation after the last block, which is no part of any block's hidden state
    dropouts: tuple[str, ...]  # the config's dropout rates, all of which a recipe's `dropout` sets
    epsilon: str  # the config's name of what every normalisation adds to the variance
    first_position: Callable[[PretrainedConfig], int]  # id of the position of a sequence's first token
    bert: bool  # blocks are built as BERT's, which `xstilts.model.firsts` can ask for first tokens alone
    options: Mapping[str, Any] = field(default_factory=dict)  # of the class's constructor


def _after_padding(config: PretrainedConfig) -> int:
    """RoBERTa counts positions from behind the padding's id; see fairseq's `make_positions`."""
    return int(config.pad_token_id) + 1


_XLMR = Adapter(
    blocks="encoder.layer",
    norm=None,
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    epsilon="layer_norm_eps",
    first_position=_after_padding,
    bert=True,
    options={"add_pooling_layer": False},
)

ADAPTERS = {
    "xlm-roberta": _XLMR,
    "xlm-roberta-xl": replace(_XLMR, norm="encoder.LayerNorm"),
    "modernbert": Adapter(
        blocks="layers",
        norm="final_norm",
        dropouts=("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"),
        epsilon="norm_eps",
        first_position=lambda config: 0,
        bert=False,
    ),
}


def get(architecture: str) -> Adapter:
    """The adapter of a Hugging Face `model_type`."""
    if architecture not in ADAPTERS:
        raise UserError(f"no adapter for the architecture {architecture!r}; {choices(architecture, ADAPTERS)}")
    return ADAPTERS[architecture]


def configure(architecture: str, values: Mapping[str, Any], dropout: float | None = None) -> PretrainedConfig:
    """The Hugging Face config of a model, with every dropout rate set to `dropout` unless that is None.

    Whatever the architecture, it then has `hidden_dropout_prob` and `layer_norm_eps`, which heads read. Raises
    `UserError` for a key that the architecture does not have: Hugging Face would keep it and use its default instead.
    """
    from transformers import AutoConfig

    adapter = get(architecture)
    known = AutoConfig.for_model(architecture).to_dict()
    for key in values:
        if key not in known:
            raise UserError(f"{architecture} has no setting {key!r}; {choices(key, known)}")
    rates = {} if dropout is None else dict.fromkeys(adapter.dropouts, dropout)
    try:
        config = AutoConfig.for_model(architecture, **{**values, **rates})
    except Exception as error:  # huggingface_hub's strict dataclasses have error classes of their own
        raise UserError(f"the config of {architecture} is refused: {' '.join(str(error).split())}") from None
    config.hidden_dropout_prob = getattr(config, adapter.dropouts[0])
    config.layer_norm_eps = getattr(config, adapter.epsilon)
    return config


@contextmanager
def truncated(model: PreTrainedModel, adapter: Adapter, layers: int) -> Iterator[None]:
    """Inside, the model ends with its first `layers` blocks; beyond the last one nothing changes.

    What it then gives is `hidden_states[layers]` of the whole model, to the bit.
    """
    blocks = model.get_submodule(adapter.blocks)
    assert isinstance(blocks, nn.ModuleList)
    if layers >= len(blocks):
        yield
        return
    parts: dict[str, nn.Module] = {adapter.blocks: blocks[:layers]}
    if adapter.norm is not None:
        parts[adapter.norm] = nn.Identity()
    whole = {path: model.get_submodule(path) for path in parts}
    try:
        for path, part in parts.items():
            model.set_submodule(path, part)
        yield
    finally:
        for path, part in whole.items():
            model.set_submodule(path, part)
