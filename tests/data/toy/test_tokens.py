"""The tokenizer has the frame of XLM-R, knows every letter, and keeps the words of well-resourced languages whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from xstilts.data.toy.languages import LANGUAGES
from xstilts.data.toy.lexicon import CONCEPTS, NAMES, NUMBERS, forms
from xstilts.data.toy.models import SHAPES, VOCABULARY, config, parameters, settings
from xstilts.data.toy.tokens import tokenizer
from xstilts.errors import UserError
from xstilts.model.encoder import Encoder
from xstilts.model.tokenizer import load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    assert tokenizer(folder) == VOCABULARY
    return folder


@pytest.fixture(scope="module")
def loaded(made: Path) -> PreTrainedTokenizerBase:
    return load(made)


def test_the_same_bytes_every_time(made: Path, tmp_path: Path) -> None:
    tokenizer(tmp_path)
    for path in made.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_special_tokens_frame_texts_as_xlm_r_does(loaded: PreTrainedTokenizerBase) -> None:
    assert loaded.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    dog, red = (loaded(word, add_special_tokens=False)["input_ids"] for word in ("dog", "red"))
    assert loaded("dog")["input_ids"] == [0, *dog, 2]
    assert loaded("dog", "red")["input_ids"] == [0, *dog, 2, 2, *red, 2]
    assert len(loaded) == VOCABULARY


def test_nothing_is_unknown(loaded: PreTrainedTokenizerBase) -> None:
    words = [word for language in LANGUAGES for word in forms(language.code).values()]
    ids = loaded(" ".join([*words, *NAMES, *NUMBERS, *".?{}"]), add_special_tokens=False)["input_ids"]
    assert loaded.unk_token_id not in ids


def test_fewer_pieces_a_word_where_more_was_read(loaded: PreTrainedTokenizerBase) -> None:
    pieces: dict[str, float] = {}
    for language in LANGUAGES:
        words = list(forms(language.code).values())
        pieces[language.code] = sum(len(loaded.tokenize(word)) for word in words) / len(CONCEPTS)
    for order in "mf":
        high, mid, low, isolate = (pieces[f"q{tier}{order}"] for tier in "hmli")
        assert 1 <= high < mid < low
        assert high < isolate


@pytest.mark.parametrize("name", SHAPES)
def test_settings_describe_the_model(name: str) -> None:
    encoder = Encoder("xlm-roberta", config(name))
    assert settings(name)["parameters"] == parameters(name) == sum(p.numel() for p in encoder.parameters())
    assert settings(name)["retrieval_layer"] == round(14 / 24 * encoder.layers)


def test_models_grow() -> None:
    sizes = [parameters(name) for name in ("base", "large", "xl")]
    assert sizes == sorted(sizes)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UserError, match=r"'bass'.*did you mean 'base'"):
        config("bass")
