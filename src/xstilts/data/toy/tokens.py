"""The tokenizer of the toy models: byte-pair encoding over what they are pretrained on, with the frame of XLM-R."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xstilts.data.toy.dice import Dice
from xstilts.data.toy.grammar import text
from xstilts.data.toy.languages import LANGUAGES
from xstilts.data.toy.lexicon import NAMES, NUMBERS
from xstilts.data.toy.stories import document
from xstilts.files import write_json

VOCABULARY = 1600
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # the first four where XLM-R has them
ALPHA = 0.35  # languages are sampled by size ** ALPHA, which keeps most words of well-resourced ones whole


def tokenizer(folder: Path) -> int:
    """Train and save it as Hugging Face files; the number of its entries. The same bytes every time."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False, min_frequency=2, initial_alphabet=[]
    )
    made.train_from_iterator(_sample(), trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", _CONFIG)
    return made.get_vocab_size()


def _sample() -> list[str]:
    """Documents of every language that the models read, and the names by themselves."""
    out = [f"{{ {name} }} {number}" for name in NAMES for number in NUMBERS]
    for language in LANGUAGES:
        dice = Dice("tokenizer", language.code)
        out += [text(document(dice), language) for _ in range(int(800 * language.size**ALPHA))]
    return out


_CONFIG: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
    "model_max_length": 256,
    "clean_up_tokenization_spaces": False,
}
