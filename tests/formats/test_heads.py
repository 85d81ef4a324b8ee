from __future__ import annotations

import pytest
import torch

from xstilts.formats import get
from xstilts.model.encoder import Encoder
from xstilts.task import Task

SMALL = {"vocab_size": 80, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SPECIAL = {"bos_token_id": 0, "cls_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
MODELS = {
    "xlm-roberta": SMALL | {"max_position_embeddings": 40},
    "modernbert": SMALL | SPECIAL,
}
FORMATS = ["classification", "choice", "tagging", "mlm"]
TASK = {name: Task(name, name, labels=[] if name in ("choice", "mlm") else ["a", "b", "c"]) for name in FORMATS}
OUTPUTS = {"classification": 3, "choice": 1, "tagging": 3, "mlm": 80}


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize("name", FORMATS)
def test_heads_fit_every_encoder(name: str, architecture: str) -> None:
    torch.manual_seed(0)
    encoder = Encoder(architecture, MODELS[architecture], dropout=0.3)
    head = get(name).head(TASK[name], encoder)
    hidden = encoder(torch.tensor([0, 7, 8, 2, 0, 9, 2]), torch.tensor([0, 4, 7]))
    logits = head(hidden)
    assert logits.shape == (7, OUTPUTS[name])
    logits.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    rates = {module.p for module in head.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == (set() if name == "mlm" else {0.3})  # as the recipe says


@pytest.mark.parametrize(("name", "times"), [("classification", 2), ("choice", 1), ("tagging", 1)])
def test_states_are_dropped_as_often_as_in_stock_xlm_r(encoder, name: str, times: int) -> None:
    head = get(name).head(TASK[name], encoder)
    calls = []
    head.dropout.register_forward_hook(lambda *_: calls.append(1))
    head(torch.randn(3, 16))
    assert len(calls) == times


def test_heads_are_drawn_from_the_global_generator(encoder) -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat(
            [v.flatten() for v in get("classification").head(TASK["classification"], encoder).parameters()]
        )

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
