"""Workspace and report from code: built and saved by the real packages, over names that runs really have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from endpoint import ENTITY, Endpoint
from writing import ONLINE, Training

from xstilts.config import Tracker
from xstilts.errors import UserError
from xstilts.sweep.screen import console
from xstilts.sweep.sweeps import all_
from xstilts.tracking import charts, names, tables
from xstilts.tracking.dashboard import create
from xstilts.tracking.publish import publish


def test_workspace_and_report_of_a_published_sweep(tmp_path: Path, server: Endpoint) -> None:
    training = Training(tmp_path / "store")
    (sweep,) = all_(training.store)
    with pytest.raises(UserError, match="do=publish sweep=first"):
        create(sweep, Tracker())
    writing = training.attempt()
    writing.rows(0, 10)
    writing.end("done")
    assert publish(training.store, [sweep], ONLINE, console()) == 0

    for _ in range(2):  # the second time, the charts are there
        workspace, report = create(sweep, Tracker())
        assert workspace.startswith(f"workspace: {server.url}/{ENTITY}/xstilts?nw=")
        assert report.startswith(f"report: {server.url}/{ENTITY}/xstilts/reports/")
    assert set(server.charts) == {chart.preset for chart in charts.CHARTS}
    assert [view["type"] for view in server.views] == ["project-view", "runs"] * 2

    board = server.views[0]["spec"]
    assert '"key":{"section":"run","name":"tags"},"op":"IN","value":["sweep:first"]' in board
    assert [s["name"] for s in json.loads(board)["section"]["panelBankConfig"]["sections"]] == [
        "Transfer",
        "Scale and resources",
        "Languages",
        "Cost",
        "Training",
    ]
    run = json.loads(server.runs["results-first"].summary)
    history = set(server.runs[training.id].rows[-1])
    assert {"train/loss", "trainer/step"} <= history
    drawn = panels(json.loads(board))
    assert drawn.count("Vega2") == 8
    for view in (server.views[0]["spec"], server.views[1]["spec"]):
        for chart in charts.CHARTS:
            assert f"{ENTITY}/{chart.preset}" in view
            assert run[chart.table]["_type"] == "table-file"
        assert "summary:score/sw" in view.replace(" ", "") or "score/sw" in view


def panels(board: dict) -> list[str]:
    """The kind of every panel."""
    return [p["viewType"] for s in board["section"]["panelBankConfig"]["sections"] for p in s["panels"]]


@pytest.mark.parametrize("chart", charts.CHARTS, ids=lambda chart: chart.name)
def test_a_chart_reads_the_columns_it_says(chart: charts.Chart) -> None:
    text = json.dumps(chart.spec)
    for column in chart.columns:
        text = text.replace(f"${{field:{column}}}", column)
    assert "${field:" not in text
    assert json.loads(text)["data"] == {"name": "wandb"}


def test_a_column_that_a_table_lacks_is_our_mistake() -> None:
    with pytest.raises(KeyError, match="costs has no column hours"):
        charts.Chart("x", "costs", ("hours",), {})


@pytest.mark.parametrize("name", ["score", "scores/sw", "cost/hours", "test/"])
def test_a_name_that_no_run_has_is_our_mistake(name: str) -> None:
    with pytest.raises(KeyError):
        names.summary(name)
    with pytest.raises(KeyError):
        names.history("accuracy")
    with pytest.raises(KeyError):
        names.config("accuracy")


def test_every_table_has_what_its_columns_say(tmp_path: Path) -> None:
    training = Training(tmp_path / "store")
    made = tables.content(training.store, all_(training.store)[0])
    assert {name: list(frame.columns) for name, frame in made.tables.items()} == tables.COLUMNS
    assert len(made.results) == 2, "a row a language, though nothing is done"
    assert made.tables["languages"]["n"].tolist() == [0, 0]
