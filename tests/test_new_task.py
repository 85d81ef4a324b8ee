"""`docs/new-task.md` is true: its YAML is all that a task of a known format needs, and its command runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from xstilts.task import CONF

ROOT = CONF.parent
PAGE = (ROOT / "docs/new-task.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n# (conf/\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
(COMMAND,) = re.findall(r"^    python (launch\.py model=.*)$", PAGE, flags=re.MULTILINE)
ITEMS = re.findall(r"^    (\{.*\})$", PAGE, flags=re.MULTILINE)
SIZES = {"en.train": 8, "en.selection": 4, "en.test": 2, "de.test": 2, "sw.test": 2}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what is needed to run, with the page's files in it and its items as data."""
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "launch.py", tmp_path)
    for path, text in FILES:
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / "FOLDER/kinds").mkdir(parents=True)
    for name, size in SIZES.items():
        items = [ITEMS[number % len(ITEMS)] for number in range(size)]
        (tmp_path / f"FOLDER/kinds/{name}.jsonl").write_text("\n".join(items) + "\n", encoding="utf-8")
    letters().save_pretrained(tmp_path / "FOLDER/tokenizer")
    return tmp_path


def letters() -> PreTrainedTokenizerFast:
    """A tokenizer of single characters."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *string.printable, "<mask>"]
    backend = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", **names
    )


def run(house: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(house / "src")}
    command = [sys.executable, *shlex.split(COMMAND), "numerics.device=cpu", *more]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_page_is_all_it_takes(house: Path) -> None:
    assert [path for path, _ in FILES] == [f"conf/{group}/kinds.yaml" for group in ("task", "target", "inter")]
    ended = run(house)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    frame = pd.read_parquet(house / "store/results.parquet")
    assert set(frame["inter"]) == {"none", "kinds"}
    assert set(frame["language"]) == {"en", "de", "sw"}
    assert frame["value"].between(0, 100).all(), "every score is there"
    assert set(frame["count"]) == {2}
    assert not frame["partial"].any()


def test_what_is_wrong_is_refused_with_file_and_line(house: Path) -> None:
    (house / "FOLDER/kinds/de.test.jsonl").write_text(ITEMS[0] + '\n{"text_a": "Wer?", "label": "querstion"}\n')
    ended = run(house)
    assert ended.returncode == 2
    assert "de.test.jsonl:2: the label 'querstion' is not one of kinds's; did you mean 'question'" in ended.stderr


def test_too_few_items_are_refused(house: Path) -> None:
    (house / "FOLDER/kinds/sw.test.jsonl").write_text(ITEMS[0] + "\n")
    ended = run(house)
    assert ended.returncode == 2
    assert "sw/test" in ended.stderr
