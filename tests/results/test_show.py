"""What a person sees: the right numbers in the right places, the marks, what is missing."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from laboratory import SEEN, Lab, plain
from rich.console import Console

from xstilts.results.show import show, show_comparison
from xstilts.results.table import table


def printed(lab: Lab, width: int = 110, **options: Any) -> str:
    if lab.cells:
        lab.sweep()
    out = io.StringIO()
    show(table(lab.store), Console(file=out, width=width, **{"force_terminal": True, "color_system": None} | options))
    return out.getvalue()


def row(text: str, *words: str) -> str:
    """The first line from where these words stand one after the other, at the beginning of lines in turn."""
    lines = text.splitlines()
    at = 0
    for word in words:
        at = next(i for i in range(at, len(lines)) if re.search(rf"(^|\s){re.escape(word)}(\s|$)", lines[i]))
    return lines[at]


def grid(lab: Lab, **options: Any) -> None:
    for target in ("xnli", "xquad", "tatoeba"):
        for model in ("base", "large"):
            for inter in ("none", "mnli", "squad"):
                lab.cell(target, inter, model, **options)


def test_numbers_stand_where_they_belong(lab: Lab) -> None:
    grid(lab)
    text = printed(lab)
    none = {x: plain({"model": "large", "seed": 0, "inter": "none"}, x, "test", "accuracy") for x in [*SEEN, "qu"]}
    others = [none[x] for x in ("de", "sw", "ur", "qu")]
    low = (none["sw"] + none["ur"]) / 2
    expected = [f"{none['en']:.1f}", f"{sum(others) / 4:.1f}", "4", f"{none['de']:.1f}", "1", f"{low:.1f}", "2"]
    assert row(text, "xnli", "large", "none").split() == ["large", "none", *expected, f"{none['qu']:.1f}", "1"]
    assert row(text, "xnli", "large", "mnli").split()[:2] == ["mnli", "*"]
    assert row(text, "xnli", "large", "mnli").split()[5:] == ["+1.5", "4", "+1.5", "1", "+1.5", "2", "+1.5", "1"]
    assert row(text, "xnli", "large", "squad").split()[4:] == ["-1.0", "4", "-1.0", "1", "-1.0", "2", "-1.0", "1"]


def test_the_order_of_targets_models_and_inters(lab: Lab) -> None:
    grid(lab)
    text = printed(lab)
    assert [x for x in text.split() if x in ("xnli", "xquad", "tatoeba")][:3] == ["xnli", "xquad", "tatoeba"]
    rows = [line.split() for line in text.splitlines() if {"none", "mnli", "squad"} & set(line.split()[:3])]
    assert [next(x for x in line if x in ("none", "mnli", "squad")) for line in rows] == ["none", "mnli", "squad"] * 6


def test_marks_are_explained_where_they_stand_and_only_there(lab: Lab) -> None:
    lab.cell("xnli", "none")
    lab.cell("xnli", "squad")
    text = printed(lab)
    assert "*" not in text
    assert "†" not in text
    lab.cell("xnli", "mnli")
    lab.cell("tatoeba", "mnli", collapsed=True, diverged=True)
    lab.sweep("second")
    text = printed(lab)
    assert row(text, "xnli", "mnli").split()[:2] == ["mnli", "*"]
    assert "mnli † ‡" in row(text, "tatoeba")
    assert "*: the intermediate task" in text
    assert "†: a training collapsed" in text
    assert "‡: a training diverged" in text


def test_synthetic_and_partial_are_in_the_title(lab: Lab) -> None:
    lab.cell("xnli", world="toy", synthetic=True)
    lab.cell("tatoeba", world="files", partial=True)
    lab.cell("xnli", world="files")
    titles = [line.strip() for line in printed(lab).splitlines() if "world=" in line]
    assert titles == ["world=files  partial in part", "world=toy  synthetic"]


def test_missing_is_a_dash_and_said_below(lab: Lab) -> None:
    lab.cell("xnli", "none", value=lambda *at: None if at[1] == "sw" else plain(*at))
    lab.cell("xnli", "mnli", value=None)
    lab.cell("tatoeba", "none", value=lambda *_: float("nan"))
    text = printed(lab)
    assert row(text, "xnli", "mnli").split() == [
        "mnli",
        "*",
        "-",
        "-",
        "0/4",
        "-",
        "0/4",
        *["-", "0/1", "-", "0/2", "-", "0/1"],
    ]
    assert "3/4" in row(text, "xnli")
    assert "Missing: 1 of 3 cells are not done" in text
    assert "Missing: xnli in sw (the library has no data)" in text
    assert "Missing: tatoeba in de, sw (the metric is not defined there)" in text


def test_nothing_missing_nothing_said(lab: Lab) -> None:
    grid(lab)
    text = printed(lab)
    assert "Missing" not in text
    assert "nan" not in text
    assert not re.search(r" - ", text)


def test_groups_without_languages_are_blank(lab: Lab) -> None:
    lab.cell("tatoeba")
    values = [plain({"model": "base", "seed": 0, "inter": "none"}, x, "test", "accuracy") for x in ("de", "sw")]
    expected = [f"{sum(values) / 2:.1f}", "2", f"{values[0]:.1f}", "1", f"{values[1]:.1f}", "1"]
    assert row(printed(lab), "tatoeba").split() == ["tatoeba", "base", "none", *expected]


def test_spread_over_seeds(lab: Lab) -> None:
    for seed in (0, 1, 2):
        for inter in ("none", "mnli"):
            lab.cell("tatoeba", inter, seed=seed)
    text = printed(lab)
    assert "±0.5" in row(text, "tatoeba"), "seeds are half a point apart"
    assert "±0.0" in row(text, "tatoeba", "mnli"), "and their changes are equal"
    assert "±: standard deviation over seeds" in text
    assert "±" not in printed(lab, width=64), "room goes to the means and counts first"


def test_regimes_and_recipes_have_columns_where_they_differ(lab: Lab) -> None:
    lab.cell("tatoeba", "none")
    lab.cell("tatoeba", "mnli")
    assert "regime" not in printed(lab)
    lab.cell("tatoeba", "mnli", regime="translated")
    lab.sweep("second")
    text = printed(lab)
    assert "regime" in text
    assert "recipe" not in text.splitlines()[3]
    assert "translated" in row(text, "tatoeba", "translated")


def test_usual_widths_fit(lab: Lab) -> None:
    for seed in (0, 1):
        for inter in ("none", "mnli"):
            lab.cell("xnli", inter, "large", seed=seed, value=lambda *at: None if at[1] == "sw" else plain(*at))
    wide = [line.split() for line in printed(lab, width=200).splitlines()]
    for width in (100, 110, 120):
        lines = printed(lab, width=width).splitlines()
        assert max(len(line.rstrip()) for line in lines) <= width
        assert [line.split() for line in lines][:6] == wide[:6], "title, head and rows, nothing folded or cut"


def test_colour_only_repeats_the_sign(lab: Lab) -> None:
    grid(lab)
    colourful = printed(lab, color_system="truecolor")
    assert "\x1b[38;2;59;130;196m+" in colourful
    assert "\x1b[38;2;201;106;18m-" in colourful
    assert re.sub(r"\x1b\[[0-9;]*m", "", colourful) == printed(lab)


@pytest.mark.parametrize("given", [False, True])
def test_plain_text_where_there_is_no_terminal(lab: Lab, capsys: pytest.CaptureFixture[str], given: bool) -> None:
    lab.cell("xnli", "none")
    lab.cell("xnli", "mnli")
    lab.sweep()
    show(table(lab.store), Console() if given else None)
    assert capsys.readouterr().out == printed(lab, width=120), "not the 80 characters that no terminal is taken for"


def test_an_encoding_without_greek(lab: Lab, tmp_path: Path) -> None:
    lab.cell("xnli", "mnli", collapsed=True, diverged=True)
    lab.sweep()
    with (tmp_path / "out").open("w", encoding="latin-1") as out:
        show(table(lab.store), Console(file=out, width=110))
    text = (tmp_path / "out").read_text(encoding="latin-1")
    assert "change" in text
    assert "mnli * ! ?" in text


def test_an_empty_store_is_said(lab: Lab) -> None:
    assert "no sweep" in printed(lab)


def test_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["language", "split", "metric", "version", "old", "new", "difference", "sd", "seeds", "beyond"]
    rows = [
        ("de", "test", "f1", "v1", 70.0, 73.0, 3.0, 1.0, 3, True),
        ("sw", "test", "f1", "v1", 60.0, 60.5, 0.5, 1.0, 3, False),
        ("qu", "test", "f1", "v1", 60.0, float("nan"), float("nan"), float("nan"), 0, pd.NA),
    ]
    show_comparison(pd.DataFrame(rows, columns=columns).astype({"beyond": "boolean"}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["f1", "test", "de", "70.00", "73.00", "+3.00", "1.00", "of", "3", "beyond", "2", "sd"] in lines
    assert ["f1", "test", "sw", "60.00", "60.50", "+0.50", "1.00", "of", "3"] in lines
    assert ["f1", "test", "qu", "60.00", "-", "-", "-"] in lines
