"""Means, changes and their counts, against sums done by hand and by another route."""

from __future__ import annotations

from math import isnan, nan
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laboratory import SEEN, Lab

from xstilts.results.summary import FLAGS, GROUPS, KEYS, summary
from xstilts.results.table import COLUMNS, table
from xstilts.results.tiers import tier


def summarise(lab: Lab) -> pd.DataFrame:
    lab.sweep()
    return summary(table(lab.store))


def pick(frame: pd.DataFrame, languages: str, **where: Any) -> Any:
    """The one row."""
    for key, value in {"languages": languages, **where}.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_groups_of_languages_on_test(lab: Lab) -> None:
    scores = {"en": 90.0, "de": 80.0, "sw": 60.0, "ur": 50.0, "qu": 30.0}
    lab.cell("xnli", value=lambda cell, language, split, metric: scores[language] if split == "test" else 0.0)
    found = summarise(lab)
    assert list(found["languages"]) == list(GROUPS)
    assert list(found["score"]) == [90.0, 55.0, 80.0, 55.0, 30.0]
    assert list(found["n"]) == list(found["of"]) == [1, 4, 1, 2, 1]
    assert set(found["split"]) == {"test"}
    assert found["sd"].isna().all(), "one seed has no spread"


def test_development_data_where_there_is_no_test(lab: Lab) -> None:
    lab.cell("xquad")
    lab.cell("xnli")
    found = summarise(lab)
    assert found.groupby("target")["split"].unique().map(list).to_dict() == {"xnli": ["test"], "xquad": ["dev"]}


def test_development_data_where_a_slice_has_nothing_else(lab: Lab) -> None:
    lab.cell("xnli", value=lambda cell, language, split, metric: 50.0 if split == "dev" else nan)
    lab.sweep()
    frame = table(lab.store)
    assert set(summary(frame)["split"]) == {"test"}, "a whole data set without test scores is not done"
    found = summary(frame.assign(partial=True))
    assert set(found["split"]) == {"dev"}
    assert pick(found, "zero-shot")["score"] == 50.0


def test_only_the_primary_metric_counts(lab: Lab) -> None:
    lab.cell("xquad", value=lambda cell, language, split, metric: 50.0 if metric == "em_f1" else 99.0)
    assert list(summarise(lab)["score"]) == [50.0] * 5


def test_a_group_the_target_has_no_language_of(lab: Lab) -> None:
    lab.cell("tatoeba")
    found = summarise(lab).set_index("languages")
    assert found.loc["unseen", ["of", "n", "seeds", "missing"]].tolist() == [0, 0, 0, 0]
    assert isnan(found.loc["unseen", "score"])
    assert found.loc["english", "of"] == 0


def test_changes_are_paired_within_model_recipe_and_seed(lab: Lab) -> None:
    """Each baseline is far from the others, so that any other pairing would show."""

    def value(cell: dict[str, Any], language: str, split: str, metric: str) -> float:
        base = 10 * cell["seed"] + 30 * (cell["model"] == "large") + 15 * (cell["recipe"] == "matched")
        return base + {"none": 0.0, "mnli": 2.0, "squad": -1.0}[cell["inter"]] * (2 if language == "sw" else 1)

    for model in ("base", "large"):
        for recipe in ("phang2020", "matched"):
            for seed in (0, 1):
                for inter in ("none", "mnli", "squad"):
                    lab.cell("tatoeba", inter, model, recipe=recipe, seed=seed, value=value)
    found = summarise(lab)
    found = found[found["of"] > 0].set_index(["inter", "languages"])
    for inter, sign in (("mnli", 2.0), ("squad", -1.0)):
        for languages, expected in (("zero-shot", 1.5 * sign), ("high", sign), ("low", 2 * sign)):
            rows = found.loc[(inter, languages)]
            assert len(rows) == 4
            assert rows["change"].tolist() == pytest.approx([expected] * 4)
            assert rows["change_sd"].tolist() == pytest.approx([0.0] * 4)
    assert found.loc["none", "change"].isna().all()
    assert (found.loc["none", "change_n"] == 0).all()


def test_missing_is_never_zero(lab: Lab) -> None:
    """A language without score leaves the mean and the count; a pair with a missing half leaves the change."""
    values = {"de": 80.0, "sw": 60.0}
    lab.cell("tatoeba", "none", value=lambda cell, language, *_: values.get(language))
    lab.cell("tatoeba", "mnli", value=lambda cell, language, *_: 90.0 if language == "de" else None)
    lab.cell("tatoeba", "squad", value=None)
    found = summarise(lab)
    one = pick(found, "zero-shot", inter="mnli")
    assert (one.score, one.n, one.of, one.change, one.change_n, one.missing) == (90.0, 1, 2, 10.0, 1, 1)
    none = pick(found, "zero-shot", inter="none")
    assert (none.score, none.n, none.missing) == (70.0, 2, 0)
    gone = pick(found, "zero-shot", inter="squad")
    assert isnan(gone.score)
    assert isnan(gone.change)
    assert (gone.n, gone.of, gone.change_n, gone.seeds, gone.missing) == (0, 2, 0, 0, 2)


def test_a_change_without_baseline_is_missing(lab: Lab) -> None:
    lab.cell("tatoeba", "mnli")
    one = pick(summarise(lab), "zero-shot")
    assert one.n == 2
    assert isnan(one.change)
    assert one.change_n == 0


def test_spread_is_over_seeds_with_every_language(lab: Lab) -> None:
    def value(cell: dict[str, Any], language: str, split: str, metric: str) -> float | None:
        if cell["seed"] == 2 and language == "sw":
            return None
        return 50.0 + cell["seed"] + 10 * (language == "de")

    for seed in (0, 1, 2):
        lab.cell("tatoeba", seed=seed, value=value)
    one = pick(summarise(lab), "zero-shot")
    assert one.score == pytest.approx(mean([61.0, 50.5])), "de over three seeds, sw over two"
    assert one.sd == pytest.approx(stdev([55.0, 56.0])), "the third seed has another set of languages"
    assert (one.seeds, one.n, one.missing) == (3, 2, 1)


def test_nothing_is_averaged_over_regimes_recipes_or_worlds(lab: Lab) -> None:
    lab.cell("tatoeba", "mnli", regime="english")
    lab.cell("tatoeba", "mnli", regime="translated")
    lab.cell("tatoeba", "mnli", recipe="matched")
    lab.cell("tatoeba", "mnli", world="hub")
    found = summarise(lab)
    assert len(found) == 4 * len(GROUPS)
    assert not found.duplicated([*KEYS, "languages"]).any()


def test_flags_are_of_any_cell(lab: Lab) -> None:
    lab.cell("xnli", "mnli", seed=0)
    lab.cell("xnli", "mnli", seed=1, collapsed=True)
    lab.cell("xnli", "none", partial=True, synthetic=True, diverged=True)
    found = summarise(lab)
    assert pick(found, "zero-shot", inter="mnli")[FLAGS].tolist() == [True, True, False, False, False]
    assert pick(found, "zero-shot", inter="none")[FLAGS].tolist() == [False, False, True, True, True]


def test_an_empty_table_has_an_empty_summary(lab: Lab) -> None:
    assert summary(table(lab.store)).empty


def test_no_row_is_changed_in_place(lab: Lab) -> None:
    lab.cell("xnli", "mnli")
    lab.sweep()
    frame = table(lab.store)
    before = frame.copy()
    summary(frame)
    pd.testing.assert_frame_equal(frame, before)


GROUPS_OF = {language: ["zero-shot", tier(SEEN.get(language, 0.0))] for language in [*SEEN, "qu", "wo"]}
GROUPS_OF["en"] = ["english"]
KEY = st.tuples(st.sampled_from(["none", "mnli"]), st.integers(0, 2), st.sampled_from(sorted(GROUPS_OF)))
Values = dict[tuple[str, int, str], float | None]  # by inter, seed and language


def tidy(values: Values) -> pd.DataFrame:
    """The table of one target."""
    rows = [
        dict.fromkeys(COLUMNS, "same")
        | {"parameters": 1, "inter": inter, "seed": seed, "language": language, "resource_gib": SEEN.get(language, 0.0)}
        | {"split": "test", "value": float("nan") if value is None else value, "primary": True}
        | dict.fromkeys(FLAGS, False)
        for (inter, seed, language), value in values.items()
    ]
    return pd.DataFrame(rows)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(KEY, st.one_of(st.none(), st.floats(0, 100)), min_size=1))
def test_against_plain_loops(values: Values) -> None:
    for found in summary(tidy(values)).itertuples():
        scores, changes = [], []
        for language in (name for name, groups in GROUPS_OF.items() if found.languages in groups):
            own, base = (
                {s: v for (i, s, x), v in values.items() if (i, x) == (inter, language) and v is not None}
                for inter in (found.inter, "none")
            )
            pairs = [own[seed] - base[seed] for seed in own if seed in base and found.inter != "none"]
            scores += [mean(own.values())] if own else []
            changes += [mean(pairs)] if pairs else []
        assert (found.n, found.change_n) == (len(scores), len(changes))
        assert found.score == pytest.approx(mean(scores) if scores else nan, nan_ok=True, abs=1e-9)
        assert found.change == pytest.approx(mean(changes) if changes else nan, nan_ok=True, abs=1e-9)
