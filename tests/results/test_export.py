"""An export: whole, the same for the same results, never in place of something else; tables that LaTeX takes."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from laboratory import Lab
from scipy import stats

from xstilts.errors import UserError
from xstilts.results.export import export
from xstilts.results.export.tables import escape, interval
from xstilts.results.table import table
from xstilts.sweep.sweeps import Sweep


@pytest.fixture
def sweep(lab: Lab) -> Sweep:
    for inter in ("none", "squad"):
        for seed in range(2):
            for target in ("xnli", "xquad"):
                lab.cell(target, inter, seed=seed)
    lab.cell("xnli", "mnli", value=None)
    about = {"kind": "x", "label": "x", "upstream": {}, "model": "base", "parameters": 1}
    return lab.sweep(stages={stage: about for cell in lab.cells for stage in cell["stages"]})


def write(lab: Lab, sweep: Sweep, place: Path) -> bool:
    return export(lab.store, [sweep], table(lab.store, [sweep]), place)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_is_whole_and_its_checksums_hold(lab: Lab, sweep: Sweep, tmp_path: Path) -> None:
    place = tmp_path / "paper"
    assert write(lab, sweep, place)
    files = content(place)
    listed = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert len([name for name in files if name.endswith("scores.parquet")]) == 8, "what is done, and nothing else"
    assert {name for name in files if name.endswith(".pdf")} == {
        f"figures/files/{name}.pdf" for name in ("heat", "languages", "tiers")
    }
    assert all(files[name].startswith(b"%PDF") for name in files if name.endswith(".pdf"))
    assert not [name for name, data in files.items() if str(tmp_path).encode() in data], "no place on this machine"


def test_the_same_again_is_the_same_and_anything_else_is_left_alone(lab: Lab, sweep: Sweep, tmp_path: Path) -> None:
    place = tmp_path / "paper"
    assert write(lab, sweep, place)
    before = content(place)
    assert not write(lab, sweep, place)
    assert content(place) == before
    (place / "verdict.txt").write_text("mine")
    with pytest.raises(UserError, match="is not what would be written"):
        write(lab, sweep, place)
    assert content(place) == {**before, "verdict.txt": b"mine"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failure_leaves_nothing(lab: Lab, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("xstilts.results.export.sources.write", full)
    with pytest.raises(OSError, match="no space"):
        write(lab, sweep, tmp_path / "paper")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_tables_have_intervals_counts_and_dashes(lab: Lab, sweep: Sweep, tmp_path: Path) -> None:
    write(lab, sweep, tmp_path / "paper")
    folder = tmp_path / "paper/tables/files"
    text = (folder / "changes-xnli.tex").read_text()
    assert r"base & squad & $-2.0$ $[-2.0, -2.0]$ (1) & $-1.0$ $[-1.0, -1.0]$ (4)" in text
    assert r"base & mnli* & -- (0/1) & -- (0/4) & -- (0/1) & -- (0/2) & -- (0/1) \\" in text
    for path in folder.glob("*.tex"):
        lines = [line for line in path.read_text().splitlines() if line.endswith(r"\\")]
        (columns,) = re.findall(r"\\begin\{tabular\}\{(l+r+)\}", path.read_text())
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}
        assert path.read_text().count("{") == path.read_text().count("}")


def test_what_was_read_has_its_licence_and_what_was_generated_has_none(lab: Lab, tmp_path: Path) -> None:
    from xstilts.stage import Stage

    for synthetic in (False, True):
        cell = lab.cell("xnli", synthetic=synthetic, world="toy" if synthetic else "files")
        part = {"task": "xnli", "part": "en/test", "sha256": f"{synthetic:064}", "rows": 1}
        stage = Stage("evaluate", {"task": {"name": "xnli"}, "parts": {"en/test": part}})
        lab.store.enter(stage)
        cell["stages"] = [cell["stages"][0], stage.id]
    about = {"kind": "evaluate", "label": "x", "upstream": {}, "model": "base", "parameters": 1}
    sweep = lab.sweep(stages={cell["stages"][1]: about for cell in lab.cells})
    write(lab, sweep, tmp_path / "paper")
    with (tmp_path / "paper/data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sha256"][-1], row["licence"]) for row in rows] == [("0", "CC BY-NC 4.0"), ("1", "")]
    assert "synthetic" in rows[1]["title"]


def test_an_interval_is_students(lab: Lab) -> None:
    values = [1.0, 2.0, 4.0]
    mean, sd = sum(values) / 3, stats.tstd(values)
    low, high = interval(mean, sd, 3)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, loc=mean, scale=stats.sem(values)))
    assert all(bound != bound for bound in interval(mean, sd, 1))


def test_names_are_escaped() -> None:
    assert escape("squad_v2 100% {x} a&b #1 $") == r"squad\_v2 100\% \{x\} a\&b \#1 \$"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_takes_the_tables(lab: Lab, sweep: Sweep, tmp_path: Path) -> None:
    write(lab, sweep, tmp_path / "paper")
    inputs = "".join(rf"\input{{{path}}}" for path in (tmp_path / "paper/tables/files").glob("*.tex"))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "all.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
