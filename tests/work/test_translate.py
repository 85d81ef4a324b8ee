"""The command that translates training data, with models of random weights laid out as on the hub."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer, MarianTokenizer, NllbTokenizer

from xstilts.data import files
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.files import read_json
from xstilts.task import load
from xstilts.work import translate
from xstilts.work.machine import Machine
from xstilts.work.translator import Translator, _batches, _direction

TEXTS = [f"{who} {does}." for who in ("Rome", "the old king", "a town") for does in ("fell", "met a king", "is old")]
PAIRS = [{"text_a": f"{text} It is.", "text_b": text, "label": "neutral"} for text in TEXTS]


def pieces(place: Path) -> list[str]:
    """A sentencepiece model of a few words."""
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20), model_writer=trained, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    place.write_bytes(trained.getvalue())
    model = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    return [model.id_to_piece(number) for number in range(model.get_piece_size())]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("m2m100")
    known = ["<s>", "<pad>", "</s>", "<unk>", *pieces(place / "pieces.model")]
    vocabulary = place / "pieces.json"
    vocabulary.write_text(json.dumps({piece: number for number, piece in enumerate(dict.fromkeys(known))}))
    tokenizer = M2M100Tokenizer(vocab_file=str(vocabulary), spm_file=str(place / "pieces.model"))
    sizes = dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16)
    sizes |= dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    torch.manual_seed(0)
    config = M2M100Config(vocab_size=160, max_position_embeddings=32, **sizes)
    M2M100ForConditionalGeneration(config).save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    return place / "model"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "root/mnli").mkdir(parents=True)
    records = [{"sentence1": p["text_a"], "sentence2": p["text_b"], "gold_label": p["label"]} for p in PAIRS]
    (tmp_path / "root/mnli/multinli_1.0_train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    world = {"name": "files", "kind": "files", "complete": False, "root": str(tmp_path / "root")}
    files.fill(world, [load("mnli")], Library(tmp_path / "library"))
    return tmp_path / "library"


def command(model: Path, library: Path, out: Path, *more: str) -> int:
    where = ["--model", str(model), "--library", str(library), "--out", str(out), "--device", "cpu"]
    return translate.main([*where, "--task", "mnli", "--language", "sw", "--length", "8", *more])


def test_the_translation_is_trained_on_as_ones_own(model: Path, library: Path, tmp_path: Path) -> None:
    assert command(model, library, tmp_path / "out") == 0
    recipe = read_json(tmp_path / "out/mnli/sw.recipe.json")
    assert (recipe["items"], recipe["kept"], recipe["without_answer"], recipe["sentences"]) == (9, 9, 0, 10)
    assert 0 <= recipe["cut"] <= 10
    assert recipe["recipe"]["codes"] == ["en", "sw"]
    assert {"model.safetensors", "sentencepiece.bpe.model"} <= set(recipe["recipe"]["model"]["files"])
    assert not (tmp_path / "out/mnli/sw.partial.jsonl").exists()
    world = {"name": "files", "kind": "files", "complete": False, "root": None, "translations": str(tmp_path / "out")}
    files.fill(world, [load("mnli.sw")], Library(tmp_path / "other"))
    rows = Library(tmp_path / "other").read("mnli.sw", "sw/train").to_pylist()
    english = Library(library).read("mnli", "en/train").to_pylist()
    assert [(row["id"], row["label"]) for row in rows] == [(row["id"], row["label"]) for row in english]
    assert any(row["text_a"] for row in rows)
    assert not any("__sw__" in row["text_a"] for row in rows), "the token that says the language is no word"


@pytest.mark.parametrize("beams", [1, 2])
def test_batches_and_kills_change_nothing(model: Path, library: Path, tmp_path: Path, beams: int) -> None:
    """One sentence at a time or all together; after a kill, also in the middle of a line, the rest is done."""
    own = ["--beams", str(beams)]
    assert command(model, library, tmp_path / "all", *own) == 0
    assert command(model, library, tmp_path / "one", *own, "--batch-tokens", "1") == 0
    whole = (tmp_path / "all/mnli/sw.jsonl").read_bytes()
    assert (tmp_path / "one/mnli/sw.jsonl").read_bytes() == whole
    place = tmp_path / "killed/mnli"
    place.mkdir(parents=True)
    recipe = read_json(tmp_path / "all/mnli/sw.recipe.json")["recipe"]
    line = json.dumps(["It is.", "NI HIVYO", False])
    (place / "sw.partial.jsonl").write_text(f'{json.dumps(recipe)}\n{line}\n["Rome fell.", "RO')
    assert command(model, library, tmp_path / "killed", *own) == 0
    rows = [json.loads(row) for row in (place / "sw.jsonl").read_text().splitlines()]
    assert all(row["text_a"].endswith("NI HIVYO") for row in rows)
    assert [row["text_b"] for row in rows] == [json.loads(row)["text_b"] for row in whole.decode().splitlines()]


def test_what_was_made_otherwise_is_not_taken_for_this(
    model: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(model, library, tmp_path / "out") == 0
    assert command(model, library, tmp_path / "out") == 0
    assert "sw.jsonl is there" in capsys.readouterr().out
    assert command(model, library, tmp_path / "out", "--beams", "2") == 2
    assert "was made by another recipe" in capsys.readouterr().err
    (tmp_path / "begun/mnli").mkdir(parents=True)
    (tmp_path / "begun/mnli/sw.partial.jsonl").write_text('{"version": 0}\n')
    assert command(model, library, tmp_path / "begun") == 2
    assert "was begun by another recipe" in capsys.readouterr().err


def test_mistakes_are_said(model: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, reason in (
        (["--model", str(tmp_path)], "has no config.json, so it is no translation model"),
        (["--codes", "en", "swa"], "has no language 'swa' (--codes); did you mean 'sw'"),
        (["--task", "udpos"], "items of format tagging cannot be translated"),
        (["--task", "squad"], "has no part en/train of squad; `do=fetch` fills it"),
        (["--task", "xnli"], "xnli has no training part"),
    ):
        assert command(model, library, tmp_path / "out", *more) == 2
        assert reason in capsys.readouterr().err
    for lacks in ("model.safetensors", "vocab.json"):
        copied = shutil.copytree(model, tmp_path / lacks)
        (copied / lacks).unlink()
        assert command(copied, library, tmp_path / "out") == 2
        assert "is no whole model with a tokenizer and safetensors: " in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*/*")), "nothing was begun"


def test_what_is_cut_is_counted(model: Path) -> None:
    """A sentence beyond what the model reads, and one whose translation does not end."""
    machine = Machine.of({"device": "cpu", "threads": None, "micro_tokens": 64}, "fp32")
    translator = Translator.load(model, "en", "sw", machine, beams=1, length=8)
    translator.model.generation_config.forced_eos_token_id = 2  # as mBART has it: no sign of an end
    (said,) = [one for batch in translator.translate(["Rome fell. " * 40]) for one in batch]
    assert said.cut
    end = torch.zeros(160)
    end[2] = 1000.0
    translator.model.lm_head = torch.nn.Linear(16, 160)
    translator.model.lm_head.weight.data.zero_()
    translator.model.lm_head.bias.data = end
    (said,) = [one for batch in translator.translate(["Rome fell."]) for one in batch]
    assert (said.translation, said.cut) == ("", False)


def test_batches_have_a_budget() -> None:
    sizes = [3, 9, 1, 4, 4, 20]
    batches = list(_batches(sizes, 12))
    assert sorted(place for batch in batches for place in batch) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * max(sizes[place] for place in batch) <= 12 for batch in batches)


def test_models_are_told_their_languages_each_in_its_way(tmp_path: Path) -> None:
    nllb = NllbTokenizer(vocab={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4}, merges=[])
    begin, prefix = _direction(nllb, "eng_Latn", "swh_Latn")
    assert (nllb.convert_ids_to_tokens(begin), prefix) == ("swh_Latn", "")
    assert nllb.convert_ids_to_tokens(nllb("a")["input_ids"])[0] == "eng_Latn"
    with pytest.raises(UserError, match="no language 'sw'"):
        _direction(nllb, "eng_Latn", "sw")
    known = pieces(tmp_path / "pieces.model")
    for several in (False, True):
        vocabulary = ["</s>", "<unk>", "<pad>", *known, *([">>swh<<"] if several else [])]
        (tmp_path / "vocab.json").write_text(json.dumps({p: n for n, p in enumerate(dict.fromkeys(vocabulary))}))
        names: dict[str, Any] = dict.fromkeys(("source_spm", "target_spm"), str(tmp_path / "pieces.model"))
        marian = MarianTokenizer(vocab=str(tmp_path / "vocab.json"), **names)
        assert _direction(marian, "en", "swh") == (None, ">>swh<< " if several else "")
        if several:
            with pytest.raises(UserError, match="no language 'xx'"):
                _direction(marian, "en", "xx")
