"""Overall scores against sums by hand, what is missing, and on what the best intermediate task is chosen."""

from __future__ import annotations

import io
from math import isnan, nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import laboratory
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laboratory import Lab
from rich.console import Console

from xstilts.results.aggregate import BEST, choices, overall, selection, whole, with_best
from xstilts.results.show import show
from xstilts.results.table import table
from xstilts.scoring.suites import SUITES, load

KEY = {"world": "files", "parameters": 1, "model": "base", "regime": "english", "recipe": "r"}
SUITE = load("xtreme")
OTHERS = ("az", "ro")  # languages that panx and tatoeba have in XTREME-R alone


def value(target: str, language: str, inter: str = "none", seed: int = 0) -> float:
    """A score that is different wherever it can be."""
    place = (
        [*SUITE.languages].index(target),
        SUITE.languages[target].index(language),
        ["none", "mnli", "qqp"].index(inter),
    )
    return 30 + 5 * place[0] + 0.25 * place[1] + 2 * place[2] + seed


def grid(inters: tuple[str, ...] = ("none",), seeds: tuple[int, ...] = (0,), **changed: Any) -> pd.DataFrame:
    """What the tidy table has of these cells, with every target and language of XTREME."""
    rows = [
        {**KEY, "target": target, "language": language, "inter": inter, "seed": seed, "split": split}
        | {"value": value(target, language, inter, seed) + 50 * (split == "dev"), "primary": True}
        | {"stage": f"{target} {inter} {seed}", "synthetic": False, "partial": False}
        for target, languages in SUITE.languages.items()
        for language in languages
        for split in (["test"] if target == "tatoeba" else ["dev", "test"])
        for inter in inters
        for seed in seeds
    ]
    rows += [
        {**rows[0], "target": t, "language": x, "split": "test", "value": 0.0}
        for t in ("panx", "tatoeba")
        for x in OTHERS
    ]
    return pd.DataFrame(rows).assign(**changed)


def pick(found: pd.DataFrame, name: str, **where: Any) -> Any:
    for key, wanted in {"name": name, **where}.items():
        found = found[found[key] == wanted]
    assert len(found) == 1
    return found.iloc[0]


def test_tasks_groups_and_both_overall_scores() -> None:
    found = overall(grid(), SUITE)
    tasks = {target: mean(value(target, x) for x in languages) for target, languages in SUITE.languages.items()}
    groups = {group: mean(tasks[target] for target in targets) for group, targets in SUITE.groups.items()}
    for expected in (tasks, groups):
        for name, score in expected.items():
            assert pick(found, name)["score"] == pytest.approx(score)
    assert pick(found, "mean_of_tasks")["score"] == pytest.approx(mean(tasks.values()))
    assert pick(found, "mean_of_groups")["score"] == pytest.approx(mean(groups.values()))
    assert (pick(found, "panx")["scored"], pick(found, "panx")["of"]) == (40, 40), "not the languages of XTREME-R alone"
    assert found["change"].isna().all()
    assert set(found.loc[found["level"] == "group", "of"]) == {2, 3}


def test_what_is_missing_is_missing_up_to_the_top() -> None:
    frame = grid()
    frame.loc[(frame["target"] == "mlqa") & (frame["language"] == "hi"), "value"] = nan
    frame = frame[frame["target"] != "bucc"]
    found = overall(frame, SUITE)
    assert isnan(pick(found, "mlqa")["score"])
    assert (pick(found, "mlqa")["scored"], pick(found, "mlqa")["of"]) == (6, 7)
    assert pick(found, "mlqa")["mean_of_scored"] == pytest.approx(
        mean(value("mlqa", x) for x in SUITE.languages["mlqa"] if x != "hi")
    )
    assert (pick(found, "bucc")["scored"], pick(found, "bucc")["of"]) == (0, 4)
    assert (pick(found, "mean_of_tasks")["scored"], pick(found, "mean_of_tasks")["of"]) == (7, 9)
    assert (pick(found, "mean_of_groups")["scored"], pick(found, "mean_of_groups")["of"]) == (2, 4)
    assert found.loc[found["level"] == "overall", "score"].isna().all()
    assert not whole(frame, SUITE)


def test_seeds_and_changes() -> None:
    found = overall(grid(("none", "mnli"), seeds=(0, 1, 2)), SUITE)
    both = [pick(found, "mean_of_tasks", inter=inter) for inter in ("none", "mnli")]
    assert both[1]["change"] == pytest.approx(2)
    assert both[1]["score"] - both[0]["score"] == pytest.approx(2)
    assert (both[0]["seeds"], both[0]["sd"]) == (3, pytest.approx(stdev([0, 1, 2])))


def test_a_seed_that_is_not_whole_has_no_part_in_the_spread() -> None:
    frame = grid(seeds=(0, 1, 2))
    frame.loc[(frame["seed"] == 2) & (frame["target"] == "xnli") & (frame["language"] == "sw"), "value"] = nan
    found = pick(overall(frame, SUITE), "mean_of_groups")
    assert not isnan(found["score"]), "sw is there of two seeds"
    assert (found["seeds"], found["sd"]) == (2, pytest.approx(stdev([0, 1])))


def test_whole_is_asked_of_one_and_the_same_model() -> None:
    frame = grid()
    assert whole(frame, SUITE)
    assert not whole(frame, load("xtreme_r"))
    assert not whole(frame.assign(model=frame["target"].map(lambda name: "large" if name == "xnli" else "base")), SUITE)


def test_a_synthetic_world_has_its_own_languages() -> None:
    frame = grid(synthetic=True)
    frame["language"] = frame["language"].map(lambda code: f"x{code}")
    found = overall(frame, SUITE)
    assert pick(found, "xnli")["scored"] == 15
    assert not isnan(pick(found, "mean_of_groups")["score"])
    assert isnan(pick(overall(frame.assign(synthetic=False), SUITE), "xnli")["score"])


# the best intermediate task -----------------------------------------------------------------------------------------


def selected(**scores: float) -> pd.Series:
    """Of every evaluation by its intermediate task."""
    frame = grid(("none", "mnli", "qqp"))
    return pd.Series({stage: scores[stage.split()[1]] for stage in frame["stage"]}, dtype="float64")


def test_the_choice_is_made_on_selection_data_and_not_on_test_items() -> None:
    frame = grid(("none", "mnli", "qqp"))
    chosen = choices(frame, SUITE, selected(none=99, mnli=80, qqp=70)).set_index("target")
    trained = chosen.loc[sorted(SUITE.trained)]
    assert set(trained["inter"]) == {"mnli"}, "qqp is better on every test set, none on selection data"
    assert set(trained["chosen_on"]) == {"selection"}
    assert set(trained["criterion"]) == {80}
    assert (chosen["of"] == 2).all()


def test_targets_without_training_choose_on_development_data_or_not_at_all() -> None:
    frame = grid(("none", "mnli", "qqp"))
    nothing = selected(none=99, mnli=99, qqp=1)  # of the intermediate training itself: says nothing of the target
    chosen = choices(frame, SUITE, nothing).set_index("target")
    assert chosen.loc["bucc", ["inter", "chosen_on", "known"]].tolist() == ["qqp", "dev", 2]
    assert chosen.loc["tatoeba", ["inter", "chosen_on"]].isna().all()
    assert chosen.loc["tatoeba", "known"] == 0
    found = overall(with_best(frame, choices(frame, SUITE, nothing)), SUITE)
    assert isnan(pick(found, "mean_of_tasks", inter=BEST)["score"])
    assert (pick(found, "mean_of_tasks", inter=BEST)["scored"]) == 8
    chosen = choices(frame, SUITE, nothing, oracle=True).set_index("target")
    assert chosen.loc["tatoeba", ["inter", "chosen_on"]].tolist() == ["qqp", "test"]
    assert chosen.loc["bucc", "chosen_on"] == "dev", "only what has nothing else"


def test_development_data_in_english_where_there_is_some() -> None:
    frame = grid(("mnli", "qqp"))
    english = (frame["target"] == "bucc") & (frame["split"] == "dev") & (frame["language"] == "de")
    frame.loc[english, "language"] = "en"
    frame.loc[english & (frame["inter"] == "mnli"), "value"] = 999.0
    chosen = choices(frame, SUITE, pd.Series(dtype="float64")).set_index("target")
    assert chosen.loc["bucc", "inter"] == "mnli"


def test_the_best_of_each_target_and_its_overall() -> None:
    frame = grid(("none", "mnli", "qqp"), seeds=(0, 1))
    scores = {stage: float((stage.split()[0] < "q") == (stage.split()[1] == "mnli")) for stage in frame["stage"]}
    chosen = choices(frame, SUITE, pd.Series(scores), oracle=True)
    found = overall(with_best(frame, chosen), SUITE)
    by_target = chosen.set_index("target")["inter"]
    assert by_target["panx"] == "mnli"
    assert by_target["xnli"] == "qqp"
    for target in SUITE.languages:
        own = pick(found, target, inter=by_target[target])
        assert pick(found, target, inter=BEST)["score"] == own["score"]
        assert pick(found, target, inter=BEST)["change"] == pytest.approx(own["change"])
    assert pick(found, "mean_of_tasks", inter=BEST)["seeds"] == 2


def test_an_intermediate_task_without_selection_score_is_not_chosen() -> None:
    chosen = choices(grid(("none", "mnli", "qqp")), SUITE, selected(none=1, mnli=nan, qqp=2)).set_index("target")
    assert chosen.loc["xnli", ["inter", "known", "of"]].tolist() == ["qqp", 1, 2]
    nobody = choices(grid(("none", "mnli")), SUITE, pd.Series(dtype="float64"), oracle=True).set_index("target")
    assert nobody.loc["xnli", ["inter", "chosen_on"]].isna().all(), "never by its test items"


@given(st.permutations([60.0, 70.0, 80.0]), st.permutations([0, 1, 2]))
def test_the_choice_is_that_of_the_largest_mean_over_seeds(scores: list[float], seeds: list[int]) -> None:
    frame = grid(("mnli", "qqp"), seeds=(0, 1, 2))
    of = {f"xnli mnli {seed}": score for seed, score in zip(seeds, scores, strict=True)}
    of |= {f"xnli qqp {seed}": 69.9 for seed in seeds}
    chosen = choices(frame, SUITE, pd.Series(of)).set_index("target").loc["xnli"]
    assert (chosen["inter"], chosen["criterion"]) == ("mnli", pytest.approx(70))


# from a store -------------------------------------------------------------------------------------------------------


def test_selection_is_what_the_last_training_noted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    execute = Lab.execute

    def noting(self: Lab, stage: Any, done: bool, scores: Any = None, **notes: Any) -> Path:
        return execute(self, stage, done, scores, **notes, selection=88.5 if stage.kind == "train" else 1.0)

    monkeypatch.setattr(Lab, "execute", noting)
    one, two = lab.cell("xnli", "mnli"), lab.cell("xnli", "squad", value=None)
    found = selection(lab.store, [lab.sweep()])
    assert found[one["stages"][-1]] == 88.5
    assert isnan(found[two["stages"][-1]]), "its training is not published"


def test_a_whole_suite_shows_its_overall_scores(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"task": "x", "metric": "accuracy", "splits": ["test"], "same": []}
    groups = {target: group for group, targets in SUITE.groups.items() for target in targets}
    new = {t: {**facts, "group": groups[t], "languages": list(x)} for t, x in SUITE.languages.items()}
    monkeypatch.setattr(laboratory, "TARGETS", new)

    def scored(cell: dict[str, Any], language: str, split: str, metric: str) -> float | None:
        missing = cell["model"] == "large" and cell["target"] == "mlqa" and language == "hi"
        return None if missing else value(cell["target"], language, cell["inter"])

    for target in new:
        lab.cell(target, "none", value=scored)
        lab.cell(target, "mnli", value=scored)
    lab.cell("mlqa", "none", "large", value=scored)
    sweep = lab.sweep()
    out = io.StringIO()
    frame = table(lab.store)
    show(frame, Console(file=out, width=120), selection(lab.store, [sweep]))
    lines = out.getvalue().split("XTREME overall")[1].splitlines()
    found = overall(frame, SUITE)
    for inter, place in (("none", 1), ("mnli", 0)):
        words = next(line.split() for line in lines if inter in line.split()[:2])[place + 1 :]
        scores = [pick(found, f"mean_of_{what}", inter=inter, model="base")["score"] for what in ("tasks", "groups")]
        changes = ["+2.0"] * (inter == "mnli")
        assert words[: 2 + 2 * len(changes)] == [w for s in scores for w in (f"{s:.1f}", *changes)]
    assert next(line.split() for line in lines if line.split()[:1] == ["large"])[2:6] == ["-", "0/9", "-", "0/4"]
    assert "only n of m are there" in out.getvalue()
    assert "XTREME-R overall" not in out.getvalue()
    assert BEST not in out.getvalue(), "there is one intermediate task only"


def test_every_group_of_a_suite_is_known_to_tables() -> None:
    from xstilts.results.lines import FAMILIES

    assert all(set(load(name).groups) == set(FAMILIES) for name in SUITES)
