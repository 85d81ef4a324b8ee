"""Whole submissions: XTREME's own regression values, what is missing, and both overall scores."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from xstilts.errors import UserError
from xstilts.scoring.__main__ import main
from xstilts.scoring.submission import FILES, FOLDERS, score
from xstilts.scoring.suites import SUITES, Mean, load

#: The averages that XTREME's test of its evaluate.py expects of its mock submission.
EXPECTED = {
    "pawsx": {"accuracy": 51.42857142857143},
    "xnli": {"accuracy": 30.666666666666668},
    "panx": {"f1": 57.50793650793652, "precision": 54.729166666666664, "recall": 62.750000000000014},
    "udpos": {"f1": 70.21746048354693, "precision": 71.02232625883823, "recall": 69.54982073976082},
    "bucc2018": {"f1": 55.0, "precision": 55.0, "recall": 55.0},
    "tatoeba": {"accuracy": 53.611111111111114},
    "xquad": {"exact_match": 77.27272727272727, "f1": 79.9586776859504},
    "mlqa": {"exact_match": 57.142857142857146, "f1": 81.76870748299321},
    "tydiqa": {"exact_match": 88.88888888888889, "f1": 97.22222222222223},
}
MEWSLIX = 14.39025156130419
OVERALL = {"mean_of_tasks": 62.17319850507246, "mean_of_groups": 59.89788830371404}  # the first as evaluate.py has it


@pytest.fixture
def mock(slices: Path) -> Path:
    return slices / "fixtures/xtreme_mock"


def test_xtremes_own_regression_values(mock: Path) -> None:
    found = score("xtreme", mock / "predictions", mock / "labels")
    for task, averages in EXPECTED.items():
        own = found["tasks"][task]
        assert {name: own["averages"][name] for name in averages} == pytest.approx(averages, abs=1e-9)
        assert own["scored"] == own["of"] == len(own["languages"])
        assert own["missing"] == {}
    for name, value in OVERALL.items():
        assert found["overall"][name]["score"] == pytest.approx(value, abs=1e-9)
    assert found["evaluate_py"]["all_task"] == found["overall"]["mean_of_tasks"]["score"]
    qa = sum((EXPECTED[task]["exact_match"] + EXPECTED[task]["f1"]) / 2 for task in ("xquad", "mlqa", "tydiqa")) / 3
    assert found["groups"]["qa"]["score"] == pytest.approx(qa, abs=1e-9)


def test_what_xtreme_r_lacks_of_it(mock: Path) -> None:
    found = score("xtreme_r", mock / "predictions", mock / "labels")
    tasks = found["tasks"]
    assert tasks["mewslix"]["score"] == pytest.approx(MEWSLIX, abs=1e-9)
    assert (tasks["xquad"]["scored"], tasks["xquad"]["of"]) == (11, 12)
    assert tasks["xquad"]["missing"] == {"ro": "predictions"}
    assert math.isnan(tasks["xquad"]["score"])
    assert math.isnan(tasks["xquad"]["averages"]["f1"])
    assert tasks["xquad"]["mean_of_scored"] == pytest.approx((77.27272727272727 + 79.9586776859504) / 2)
    assert (tasks["lareqa"]["scored"], tasks["lareqa"]["of"]) == (0, 11)
    overall = found["overall"]
    assert math.isnan(overall["mean_of_tasks"]["score"])
    assert (overall["mean_of_tasks"]["scored"], overall["mean_of_tasks"]["of"]) == (4, 10)
    assert (overall["mean_of_groups"]["scored"], overall["mean_of_groups"]["of"]) == (0, 4)


def test_of_the_command_missing_is_null(mock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--predictions", str(mock / "predictions"), "--references", str(mock / "labels")]
    assert main(["xtreme_r", *folders]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["overall"]["mean_of_groups"]["score"] is None
    assert found["tasks"]["lareqa"]["score"] is None


# a submission of our own --------------------------------------------------------------------------------------------


def content(folder: str, language: str, right: bool) -> tuple[str, str]:
    """Predictions and references of a language, all of them right or all wrong."""
    match FILES[folder][1]:
        case "jsonl":
            return json.dumps({"label": int(right)}), json.dumps({"label": 1})
        case "json" if folder in ("mewslix", "lareqa"):
            return json.dumps({language: ["Q1" if right else "Q2"]}), json.dumps({language: ["Q1"]})
        case "json":
            qa = {"id": language, "question": "?", "answers": [{"text": "so", "answer_start": 0}]}
            gold = {"data": [{"paragraphs": [{"context": "so", "qas": [qa]}]}]}
            return json.dumps({language: "so" if right else "not"}), json.dumps(gold)
        case _ if folder == "bucc2018":
            return f"{language}-1\ten-{int(right)}\n", f"{language}-1\ten-1\n"
    return ("B-A" if right else "I-B", "B-A")


@pytest.fixture(params=SUITES)
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A submission with everything in it; right in the first language of every task and nowhere else."""
    suite = load(request.param)
    for target, languages in suite.languages.items():
        folder = FOLDERS.get(target, target)
        for number, language in enumerate(languages):
            for kind, text in zip(("p", "l"), content(folder, language, number == 0), strict=True):
                path = tmp_path / kind / folder / f"test-{language}.{FILES[folder][1]}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return request.param, tmp_path


def test_a_whole_submission(whole: tuple[str, Path]) -> None:
    name, folder = whole
    suite, found = load(name), score(name, folder / "p", folder / "l")
    expected = {target: 100 / len(languages) for target, languages in suite.languages.items()}
    assert {task: own["score"] for task, own in found["tasks"].items()} == {
        FOLDERS.get(target, target): pytest.approx(value) for target, value in expected.items()
    }
    groups = {group: sum(expected[t] for t in targets) / len(targets) for group, targets in suite.groups.items()}
    assert {group: own["score"] for group, own in found["groups"].items()} == pytest.approx(groups)
    assert found["overall"]["mean_of_tasks"]["score"] == pytest.approx(sum(expected.values()) / len(expected))
    assert found["overall"]["mean_of_groups"]["score"] == pytest.approx(sum(groups.values()) / 4)
    if name == "xtreme":
        assert found["evaluate_py"] == pytest.approx({"all_task": sum(expected.values()) / 9, **groups})
    else:
        retrieval = (expected["tatoeba"] + expected["mewslix"]) / 2
        assert found["evaluate_py"] == pytest.approx(
            {**groups, "retrieval": retrieval, "multi_choice": expected["xcopa"]}
        )


def test_a_missing_language_is_missing_up_to_the_top(whole: tuple[str, Path]) -> None:
    name, folder = whole
    (folder / "p/mlqa/test-hi.json").unlink()
    (folder / "l/mlqa/test-zh.json").unlink()
    found = score(name, folder / "p", folder / "l")
    own = found["tasks"]["mlqa"]
    assert own["missing"] == {"hi": "predictions", "zh": "references"}
    assert (own["scored"], own["of"], own["mean_of_scored"]) == (5, 7, 20)
    for mean in (own, found["groups"]["qa"], *found["overall"].values()):
        assert math.isnan(mean["score"])
    assert not math.isnan(found["groups"]["tagging"]["score"])
    assert found["groups"]["qa"]["scored"] == 2
    assert found["overall"]["mean_of_groups"]["scored"] == 3
    assert math.isnan(found["evaluate_py"]["qa"])


def test_a_malformed_file_is_named(whole: tuple[str, Path]) -> None:
    name, folder = whole
    (folder / "p/panx/test-sw.tsv").write_text("B-A\n\nB-A\n")
    with pytest.raises(UserError, match=r"p/panx/test-sw\.tsv:3: has 2 sentences, where .*l/panx/test-sw\.tsv has 1"):
        score(name, folder / "p", folder / "l")


def test_nothing_to_score_is_a_mistake(whole: tuple[str, Path]) -> None:
    name, folder = whole
    with pytest.raises(UserError, match=r"have no file in common, of xnli/test-xx\.tsv"):
        score(name, folder, folder)
    with pytest.raises(UserError, match="there is no folder"):
        score(name, folder / "p", folder / "q")


def test_other_folders_do_not_disturb(whole: tuple[str, Path]) -> None:
    name, folder = whole
    before: dict[str, Any] = score(name, folder / "p", folder / "l")
    shutil.copytree(folder / "p/xnli", folder / "p/other")
    (folder / "l/xnli/test-xx.tsv").write_text("B-A")
    assert score(name, folder / "p", folder / "l") == before


def test_the_suites_are_the_published_ones() -> None:
    sizes = {name: {t: len(languages) for t, languages in load(name).languages.items()} for name in SUITES}
    assert sizes["xtreme"] == {
        **{"xnli": 15, "pawsx": 7, "udpos_v25": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9},
        **{"bucc": 4, "tatoeba": 36},
    }
    assert sizes["xtreme_r"] == {
        **{"xnli": 15, "xcopa": 11, "udpos": 38, "panx": 48, "xquad": 12, "mlqa": 7, "tydiqa": 9},
        **{"tatoeba": 41, "mewslix": 11, "lareqa": 11},
    }
    assert load("xtreme_r").groups["retrieval"] == ("tatoeba", "mewslix", "lareqa")
    with pytest.raises(UserError, match="no suite 'xtreme-r'; did you mean 'xtreme_r'"):
        load("xtreme-r")


def test_means_of_what_is_missing() -> None:
    assert Mean.over([1.0, 3.0]) == Mean(2.0, 2.0, 2, 2)
    some = Mean.over([1.0, math.nan])
    assert math.isnan(some.value)
    assert (some.of_scored, some.scored, some.of) == (1.0, 1, 2)
    none = Mean.over([math.nan])
    assert math.isnan(none.of_scored)
