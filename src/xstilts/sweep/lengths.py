"""How long items are, a format: what a plan counts with before data is tokenized."""

from __future__ import annotations

#: Sub-words an item with special tokens: XLM-R's tokenizer over the English training sets (rounded).
TOKENS = {
    "classification": 40,
    "choice": 300,
    "span": 220,
    "tagging": 28,
    "nearest": 30,
    "mining": 30,
    "dual_encoder": 200,
    "mlm": 200,
}
#: Sequences an item.
SEQUENCES = {**dict.fromkeys(TOKENS, 1), "choice": 4, "nearest": 2, "dual_encoder": 2}
