"""Published averages: consistent ones follow from their scores, the known inconsistent rows are flagged."""

from __future__ import annotations

from xstilts.results.question.published import published, recomputed


def test_consistent_rows_recompute_and_inconsistent_ones_are_flagged() -> None:
    found = recomputed().set_index(["model", "average"])
    assert found.loc["X-STILTs", "consistent"].all()
    assert found.loc["RemBERT", "consistent"].all()
    assert found.loc[("X-STILTs", "mean_of_tasks"), "recomputed"].round(2) == 72.66
    flagged = set(found.index[~found["consistent"]])
    assert {("XLM-R large", "structured"), ("XLM-R large", "qa"), ("FILTER", "mean_of_tasks")} <= flagged


def test_a_row_that_is_off_by_more_than_rounding_is_flagged() -> None:
    table = published().loc[["RemBERT"]]
    assert recomputed(table)["consistent"].all()
    assert not recomputed(table.assign(xnli=table["xnli"] + 1.0))["consistent"].all()
