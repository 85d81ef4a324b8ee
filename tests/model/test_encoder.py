"""The encoder against the stock classes it wraps."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForMaskedLM, PreTrainedModel

from xstilts.errors import DataError, UserError
from xstilts.model.encoder import Encoder

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
SPECIAL = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "xlm-roberta": SHAPE,
    "xlm-roberta-xl": SHAPE,
    "modernbert": {**SHAPE, **SPECIAL, "local_attention": 4},
}
LENGTHS = torch.tensor([8, 5, 3, 8])
MASK = torch.arange(8) < LENGTHS[:, None]
STARTS = torch.tensor([0, 8, 13, 16, 24])

every = pytest.mark.parametrize("architecture", ARCHITECTURES)


def build(architecture: str, seed: int = 0, **options: Any) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(architecture, ARCHITECTURES[architecture], **options)


def padded_model(encoder: Encoder) -> PreTrainedModel:
    """The stock model with the same weights and torch's own attention, for padded input."""
    stock = copy.deepcopy(encoder.model)
    stock.set_attn_implementation("sdpa")
    return stock


@pytest.fixture
def padded() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(4, 60, MASK.shape).masked_fill(~MASK, 1)


@every
def test_first_layers_are_those_of_the_stock_model(architecture: str, padded: torch.Tensor) -> None:
    encoder = build(architecture).eval()
    stock = padded_model(encoder)(input_ids=padded, attention_mask=MASK.long(), output_hidden_states=True).hidden_states
    for layers in range(encoder.layers + 1):
        torch.testing.assert_close(encoder(padded[MASK], STARTS, layers), stock[layers][MASK], rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(encoder(padded[MASK], STARTS), stock[-1][MASK], rtol=1e-5, atol=2e-6)
    names = list(encoder.model.state_dict())
    assert names == list(build(architecture).model.state_dict()), "stopping early must leave the model whole"


@every
def test_neighbours_and_padding_do_not_matter(architecture: str, padded: torch.Tensor) -> None:
    encoder = build(architecture).eval()
    together = encoder(padded[MASK], STARTS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encoder(padded[row, :length], torch.tensor([0, length]))
        torch.testing.assert_close(alone, together[STARTS[row] : STARTS[row + 1]], rtol=1e-5, atol=1e-6)


@every
def test_first_layers_leave_the_others_without_gradient(architecture: str, padded: torch.Tensor) -> None:
    encoder = build(architecture)
    encoder(padded[MASK], STARTS, 1).sum().backward()
    reached = {name for name, p in encoder.model.named_parameters() if p.grad is not None}
    assert any(".0." in name for name in reached)
    assert not any(".1." in name or ".2." in name for name in reached)


@every
def test_weights_come_back_whatever_their_prefix(architecture: str, padded: torch.Tensor, tmp_path: Path) -> None:
    encoder = build(architecture).eval()
    prefix = f"{encoder.model.base_model_prefix}."
    state = {prefix + name: weight for name, weight in encoder.model.state_dict().items()}
    save_file({**state, "lm_head.bias": torch.ones(60)}, tmp_path / "model.safetensors")
    other = build(architecture, seed=1, empty=True).eval()
    other.load(tmp_path / "model.safetensors")
    other.load_rest(tmp_path / "model.safetensors")
    assert torch.equal(other(padded[MASK], STARTS), encoder(padded[MASK], STARTS))
    assert list(other.left) == ["lm_head.bias"]


@every
def test_reads_what_hugging_face_saves(architecture: str, padded: torch.Tensor, tmp_path: Path) -> None:
    """A masked language model as people publish them: another class, another prefix, a head beside it."""
    stock = AutoModelForMaskedLM.from_config(build(architecture).config).eval()
    stock.save_pretrained(tmp_path)
    encoder = build(architecture, seed=1).eval()
    encoder.load(tmp_path / "model.safetensors")
    stock.set_attn_implementation("sdpa")
    reference = stock.base_model(input_ids=padded, attention_mask=MASK.long()).last_hidden_state
    torch.testing.assert_close(encoder(padded[MASK], STARTS), reference[MASK], rtol=1e-5, atol=1e-6)
    encoder.load_rest(tmp_path / "model.safetensors")
    assert encoder.left
    assert not any(
        name.removeprefix(f"{stock.base_model_prefix}.") in encoder.model.state_dict() for name in encoder.left
    )


def test_same_seed_same_weights() -> None:
    first, second, third = (build("xlm-roberta", seed).embeddings.weight for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@every
def test_a_recipe_sets_every_dropout(architecture: str, padded: torch.Tensor) -> None:
    encoder = build(architecture, dropout=0.0).train()
    assert torch.equal(encoder(padded[MASK], STARTS), encoder(padded[MASK], STARTS))
    noisy = build(architecture, dropout=0.5).train()
    assert not torch.equal(noisy(padded[MASK], STARTS), noisy(padded[MASK], STARTS))
    assert noisy.config.hidden_dropout_prob == 0.5
    assert noisy.config.layer_norm_eps > 0


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    encoder = build("xlm-roberta")
    state = dict(encoder.model.state_dict())

    def refusal() -> str:
        with pytest.raises(DataError) as error:
            encoder.load(path)
        assert str(path) in str(error.value)
        return str(error.value)

    assert "cannot be read" in refusal()
    save_file({k: v for k, v in state.items() if "layer.2" not in k}, path)
    assert "encoder.layer.2." in refusal()
    table = "embeddings.word_embeddings.weight"
    save_file({**state, table: torch.zeros(70, 16)}, path)
    assert "[70, 16] where the model has [60, 16]" in refusal()
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in refusal()
    path.write_bytes(b"PK\x03\x04 this is a pickle")
    assert "cannot be read" in refusal()


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'xlm-roberta'"):
        Encoder("xlm-robert", SHAPE)
    with pytest.raises(UserError, match="did you mean 'hidden_size'"):
        Encoder("xlm-roberta", {**SHAPE, "hidden_siz": 3})
    with pytest.raises(UserError, match="hidden_size"):
        Encoder("xlm-roberta", {**SHAPE, "hidden_size": "wide"})
    with pytest.raises(UserError, match=r"250002 ids .* 60 rows"):
        build("xlm-roberta").check(250002, 8)
    with pytest.raises(UserError, match=r"max_length=39 .* 38 positions"):
        build("xlm-roberta").check(60, 39)
    build("xlm-roberta").check(60, 38)
