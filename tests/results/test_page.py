"""The page: whole without network, no number lost, what is missing said with its command, quick, and without torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from laboratory import Lab

from xstilts.results import page
from xstilts.results.question.printed import verdicts
from xstilts.results.table import table
from xstilts.sweep.sweeps import Sweep

VOID = {"meta", "link", "br", "img", "input"}


class Structure(HTMLParser):
    """Checks that elements close in order; collects ids, cells of tables and what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        urls = [values.get(key) or "" for key in ("src", "href", "xlink:href")]
        self.loaded += [url for url in urls if url and not url.startswith("#")]
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


def made(lab: Lab, *sweeps: Sweep) -> tuple[str, Structure]:
    frame = table(lab.store, sweeps)
    text = page.write(lab.store, sweeps, frame, verdicts(frame)).read_text(encoding="utf-8")
    structure = Structure()
    structure.feed(text)
    assert structure.open == []
    return text, structure


def grid(lab: Lab, seeds: int = 1) -> Sweep:
    for model in ("base", "large"):
        for inter in ("none", "mnli", "squad"):
            for target in ("xnli", "xquad", "tatoeba"):
                for seed in range(seeds):
                    lab.cell(target, inter, model, seed=seed)
    about = {"kind": "train", "label": "x", "upstream": {}, "model": "base", "parameters": 1}
    return lab.sweep(stages={stage: about for cell in lab.cells for stage in cell["stages"]})


@pytest.fixture
def whole(lab: Lab) -> tuple[str, Structure]:
    return made(lab, grid(lab))


def test_nothing_is_loaded_and_nothing_runs(whole: tuple[str, Structure]) -> None:
    text, structure = whole
    assert structure.loaded == []
    assert "<script" not in text
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(structure.ids) == len(set(structure.ids)), "two figures do not share names"


def test_figures_are_sound_and_follow_the_page(whole: tuple[str, Structure]) -> None:
    text, structure = whole
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawn) == 2
    for one in drawn:
        root = ET.fromstring(one)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "var(--ink)" in one
        used = set(re.findall(r"url\(#([^)]+)\)", one)) | set(re.findall(r'xlink:href="#([^"]+)"', one))
        assert used <= set(structure.ids)
    assert set(re.findall(r"var\((--[a-z0-9]+)\)", text)) - {"--share"} <= set(re.findall(r"(--[a-z0-9]+):", text))


def test_the_map_shows_changes_with_their_counts(whole: tuple[str, Structure]) -> None:
    """`plain` gives mnli 1.5 points in all languages but English, of which xnli has four."""
    cells = [" ".join(cell.split()) for cell in whole[1].cells]
    assert "+1.5* 4" in cells, "the same-task pair mnli and xnli"
    assert "+1.5 3" in cells
    assert "-1.0* 3" in cells


def test_missing_is_a_dash_and_its_command_is_there(lab: Lab) -> None:
    lab.cell("xnli")
    gone = lab.cell("xnli", "squad", value=None)
    about = {"upstream": {}, "model": "base", "parameters": 1}
    stages = {stage: {"kind": "x", "label": f"base > {n} <b>", **about} for n, stage in enumerate(gone["stages"])}
    text, structure = made(lab, lab.sweep("half", stages=stages))
    assert "1 of them not done" in text
    assert "lacks 1 of 2 cells" in text
    assert f"python launch.py do=retry sweep=half store.path={lab.store.root}" in text
    assert "base &gt; 1 &lt;b&gt;" in text, "what people name is text, not HTML"
    assert "– 0/4" in [" ".join(cell.split()) for cell in structure.cells]
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower().replace("english", "")


def test_flags_are_said(lab: Lab) -> None:
    toy = {"synthetic": True, "world": "toy", "languages": ["en", "qhf"]}
    lab.cell("xnli", **toy)
    lab.cell("xnli", "mnli", collapsed=True, cut=7, **toy)
    lab.cell("xquad", partial=True)
    text, _ = made(lab, lab.sweep())
    assert "Languages, data and models are synthetic" in text
    assert "Some data sets are slices" in text
    assert text.index("world=files") < text.index("world=toy"), "a section a world"
    assert re.search(r"collapsed</th><td class=\"n\">1/2", text)
    assert "Sub-words that were not read" in text


def test_simulated_scores_are_of_real_languages_and_say_so(lab: Lab) -> None:
    for inter in ("none", "mnli"):
        lab.cell("xnli", inter, synthetic=True, world="simulated")
    text, _ = made(lab, lab.sweep())
    assert "Scores are simulated: nothing was trained" in text
    assert "Languages, data and models are synthetic" not in text
    assert "to the least; GiB." in text


def test_hours_that_nobody_measured_are_not_0(lab: Lab) -> None:
    about = {"kind": "train", "label": "x", "upstream": {}, "model": "base", "parameters": 1}
    lab.cell("xnli", value=None)
    text, structure = made(lab, lab.sweep(stages={stage: about for cell in lab.cells for stage in cell["stages"]}))
    assert "What it cost" in text
    assert structure.cells[-7:] == ["2", "2", "0", "–", "0/0", "–", "–"]


def test_an_empty_store_has_a_page(lab: Lab) -> None:
    assert "Nothing was asked for yet" in page.page(lab.store, [], table(lab.store, []), [])


def test_a_page_knows_what_it_was_made_of(lab: Lab) -> None:
    sweep = grid(lab)
    frame = table(lab.store, [sweep])
    assert page.drawn(lab.store, [sweep], frame) is None
    path = page.write(lab.store, [sweep], frame, verdicts(frame))
    assert page.drawn(lab.store, [sweep], table(lab.store, [sweep])) == path
    assert page.drawn(lab.store, [replace(sweep, name="other")], frame) is None
    assert page.drawn(lab.store, [sweep], frame.assign(value=frame["value"] + 1)) is None


def test_the_report_is_light_and_the_same_from_a_script(lab: Lab, tmp_path: Path) -> None:
    """A process of its own, since this one may have imported anything."""
    grid(lab)
    code = (
        "import sys; from pathlib import Path; from xstilts.results import page; from xstilts.store import Store;"
        "from xstilts.results.question.printed import verdicts; from xstilts.results.table import table;"
        "from xstilts.sweep import sweeps; s = Store(Path(sys.argv[1])); f = table(s);"
        "print(page.write(s, sweeps.all_(s), f, verdicts(f)));"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", code, lab.store.root], capture_output=True, text=True, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(lab.store.root / "report.html")
    assert len(table(lab.store)) > 0
