"""Every task, read from the original files of the real slices, trained on and evaluated, to a full table.

The documented command is `python launch.py experiment=slices world.root=FOLDER world.tokenizer=FOLDER/tokenizer`; here
it runs in parts, of which three have every intermediate task, target and regime, and not their product; a fourth reads
a person's own translations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import distributions
from xstilts import task as tasks
from xstilts.data import parts
from xstilts.data.library import Library
from xstilts.data.readers import read
from xstilts.task import CONF, load

pytestmark = pytest.mark.slow
#: Invented in tests/distributions.py, since there is no slice, or no slice to train on.
INVENTED = {"qqp", "ccg", "mewslix", "mlm_en", "mlm_multilingual", "udpos_v25"}
INTERS = sorted({path.stem for path in (CONF / "inter").glob("*.yaml")} - {"none"})
PARTS = (
    ["inter=none"],
    [f"inter={','.join(INTERS)}", "target=mewslix"],
    ["inter=mnli", "target=tatoeba", "regime=english_mlm,translated"],
)
#: SQuAD in a language in which a person has it; as docs/regimes.md has the command.
OWN = ["inter=squad", "target=tatoeba", "regime=translated", "regime.languages=[en,de]"]


def launch(*arguments: str) -> str:
    line = [sys.executable, str(CONF.parent / "launch.py"), "experiment=slices", "hydra.launcher.workers=2", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "160"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def done(slices: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with the three parts done, and what was printed."""
    place = tmp_path_factory.mktemp("slices")
    root = distributions.make(slices, place / "root")
    where = [f"world.root={root}", f"world.tokenizer={slices / 'tokenizer'}", f"store={place / 'store'}"]
    where.append("numerics.micro_tokens=16384")  # the model is small enough
    own = [*OWN, f"world.translations={translations(slices, place / 'own')}"]
    return place / "store", "\n".join(launch(*where, *more) for more in (*PARTS, own))


def translations(slices: Path, place: Path) -> Path:
    """A folder as a person would bring it: here the German questions of XQuAD are the translation of SQuAD."""
    (place / "squad").mkdir(parents=True)
    rows = (row.values for row in read("squad", [slices / "xquad/xquad.de.json"], "de"))
    (place / "squad/de.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def table(done: tuple[Path, str]) -> pd.DataFrame:
    frame = pd.read_parquet(done[0] / "results.parquet")
    return frame[frame["primary"]]


def test_every_task_was_read(done: tuple[Path, str], slices: Path) -> None:
    """All that there is a slice of, by the folder itself; all others from invented files."""
    library = Library(done[0] / "library/files")
    read = {name for name in tasks.names() if library.manifest(name)}
    assert read == set(tasks.names()) - {"toy_pretrain"}
    for name in sorted(read - INVENTED):
        task, manifest = load(name), library.manifest(name)
        there = [p for p in task.parts if parts.find(slices, parts.patterns(task, "files", p)[0])]
        assert there, name
        files = set(manifest["files"])
        # A file of all languages is found for those that it has not, too.
        assert files <= set(there)
        assert {p for p in there if p not in files} <= set(manifest["missing"])
    assert all(library.manifest(name) for name in ("mnli.de", "mnli.ru", "mnli.sw", "mlm_multilingual.yo"))


def test_the_table_is_full(done: tuple[Path, str], table: pd.DataFrame) -> None:
    """A value wherever the library has items, NaN wherever it has none, and all of it marked as partial."""
    library = Library(done[0] / "library/files")
    targets = {p.stem: yaml.safe_load(p.read_text()) for p in (CONF / "target").glob("*.yaml")}
    expected = {name for name, target in targets.items() if "suite" not in target}
    assert set(table["target"]) == expected
    assert table["partial"].all()
    for (target, language, split), rows in table.groupby(["target", "language", "split"]):
        there = f"{language}/{split}" in library.manifest(targets[target]["evaluate"])["files"]
        if (target, split) == ("bucc", "test"):
            continue
        assert (rows["value"].notna() == there).all(), (target, language, split)
        assert ((rows["count"] > 0) == there).all()
        assert rows["value"].dropna().between(0, 100).all()


def test_every_intermediate_task_and_regime_has_its_row(table: pd.DataFrame) -> None:
    rows = table[(table["target"] == "mewslix") & (table["language"] == "en") & table["value"].notna()]
    assert set(rows["inter"]) == {"none", *INTERS}
    rows = table[(table["target"] == "tatoeba") & (table["language"] == "sw") & table["value"].notna()]
    assert set(rows[rows["inter"] == "mnli"]["regime"]) == {"english_mlm", "translated"}
    assert rows["stage"].nunique() == len(rows), "each evaluates an encoder of its own"


def test_a_persons_own_translations_are_trained_on(done: tuple[Path, str], table: pd.DataFrame) -> None:
    library = Library(done[0] / "library/files")
    assert {part: file["rows"] for part, file in library.manifest("squad.de")["files"].items()} == {"de/train": 177}
    rows = table[(table["target"] == "tatoeba") & (table["language"] == "sw") & (table["inter"] == "squad")]
    (regime,) = set(rows["regime"]) - {"english"}
    assert regime.startswith("translated")
    assert rows["value"].notna().all()
    specs = [yaml.safe_load(path.read_text())["spec"] for path in done[0].glob("stages/train-*/stage.yaml")]
    mixtures = [entry["train"] for spec in specs for entry in spec["mixture"]]
    (trained,) = (one for one in mixtures if any(part["task"] == "squad.de" for part in one))
    assert [part["part"] for part in trained] == ["en/train", "de/train"]


def test_what_is_missing_is_said(done: tuple[Path, str]) -> None:
    assert "Missing: xnli in bg, ur (the library has no data)" in done[1]
    assert "partial" in done[1]


def test_without_what_has_no_slice_the_rest_is_planned(slices: Path, tmp_path: Path) -> None:
    """As a person sees it who has only the slices."""
    text = launch(f"world.root={slices}", f"store={tmp_path}", "do=plan")
    for name in ("qqp", "ccg", "mewslix", "udpos_v25"):
        assert f"{name} has no en/train in world=files; looked for" in text
    assert "cells left out" in text
