"""`do=dashboard`: the W&B workspace and report of a published sweep, from code.

Every name of a metric, a configuration key or a column is looked up in our own schema, because W&B takes any and draws
an empty panel. wandb-workspaces builds both; how W&B's pages draw them can only be seen there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xstilts.config import Tracker
from xstilts.errors import UserError
from xstilts.sweep.sweeps import Sweep
from xstilts.tracking import charts, names, readback
from xstilts.tracking.charts import Chart
from xstilts.tracking.client import library, reached
from xstilts.tracking.entry import TAG, run_id

GROUPS = ("zero-shot", "low", "high", "unseen", "english")
Panels = list[Any]


def create(sweep: Sweep, tracker: Tracker) -> list[str]:
    """Make both, anew each time, and say where they are. Raises `UserError` when the sweep is not published."""
    wr, ws = _libraries()
    with reached():
        session = readback.api()
        where = readback.place(session, tracker)
        there = readback.runs(session, tracker, [sweep.name])
    if run_id(f"results-{sweep.name}", tracker.salt) not in there:
        raise UserError(f"sweep {sweep.name} is not in {where}: do=publish sweep={sweep.name} first")
    entity = where.split("/")[0]
    with reached():
        presets = {chart.name: _preset(session, entity, chart) for chart in charts.CHARTS}
    board = Board(sweep, entity, tracker.project, presets, wr, ws)
    workspace, report = board.workspace(), board.report()
    with reached():
        workspace.save()
        report.save()
    return [f"workspace: {workspace.url}", f"report: {report.url}"]


def _libraries() -> tuple[Any, Any]:
    library()
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
    except ImportError:
        raise UserError("do=dashboard needs wandb-workspaces: pip install 'xstilts[dashboard]'") from None
    return wr, ws


def _preset(session: Any, entity: str, chart: Chart) -> str:
    """The chart's id on the server. Its name has its content's hash, so one that exists is this one."""
    try:
        return str(session.create_custom_chart(entity, chart.preset, chart.preset, "vega2", "private", chart.spec))
    except Exception as error:  # of several kinds, by the way it was asked
        if "exist" not in str(error):
            raise
        return f"{entity}/{chart.preset}"


class Board:
    """The panels of one sweep, in the two forms that W&B has for them."""

    def __init__(self, sweep: Sweep, entity: str, project: str, presets: dict[str, str], wr: Any, ws: Any) -> None:
        self.sweep, self.entity, self.project, self.presets, self.wr, self.ws = sweep, entity, project, presets, wr, ws
        self.tag = f"sweep:{sweep.name}"[:TAG]

    def sections(self) -> Iterator[tuple[str, str, Panels]]:
        """Title, a sentence for the report, panels."""
        wr = self.wr
        heats = [self._chart(charts.heat(), f"{group} languages, points against inter=none", group) for group in GROUPS]
        yield (
            "Transfer",
            "What each intermediate task changes on each target, in points against inter=none; a panel a model.",
            heats,
        )
        yield (
            "Scale and resources",
            "The change by model size, in languages of which the models read much, little, or nothing.",
            [self._chart(charts.resources(), "change by scale and resource")],
        )
        yield (
            "Languages",
            "The same a language, over all targets; then the score itself, a panel a language.",
            [self._chart(charts.languages(), "change by scale, a line a language"), *self._scores()],
        )
        yield (
            "Cost",
            "Hours of a GPU, or of a process on CPU. Stages that cells share are counted once.",
            [
                self._chart(charts.cost(), "device hours"),
                self._bars("cost/tokens_per_second", "sub-words a second"),
                self._bars("cost/peak_memory_gib", "peak memory, GiB"),
            ],
        )
        curves = ("loss", "grad_norm", "selection", "lr")
        yield (
            "Training",
            "Every training of the sweep, by its own step.",
            [
                wr.LinePlot(title=key, x=names.STEP, y=[names.history(key)], groupby=wr.Config(names.config("model")))
                for key in curves
            ],
        )

    def _scores(self) -> Panels:
        wr = self.wr
        found = dict.fromkeys(language for cell in self.sweep.cells for language in cell["languages"])
        return [
            wr.ScatterPlot(
                title=f"score in {language} by scale",
                x=wr.Config(names.config("parameters")),
                y=wr.SummaryMetric(names.summary(f"score/{language}")),
                log_x=True,
            )
            for language in found
        ]

    def _bars(self, metric: str, title: str) -> Any:
        wr = self.wr
        return wr.BarPlot(
            title=title,
            metrics=[wr.SummaryMetric(names.summary(metric))],
            groupby=wr.Config(names.config("model")),
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )

    def _chart(self, chart: Chart, title: str, group: str = "") -> Any:
        return self.wr.CustomChart(
            query={"summaryTable": {"tableKey": chart.table}},
            chart_name=self.presets[chart.name],
            chart_fields={name: name for name in chart.columns},
            chart_strings={"title": title, **({"group": group} if group else {})},
        )

    def workspace(self) -> Any:
        """Not saved yet."""
        ws = self.ws
        sections = [
            ws.Section(name=title, is_open=title != "Training", panels=panels) for title, _, panels in self.sections()
        ]
        return ws.Workspace(
            entity=self.entity,
            project=self.project,
            name=f"xstilts: {self.sweep.name}",
            auto_generate_panels=False,
            sections=sections,
            settings=ws.WorkspaceSettings(x_axis=names.STEP, smoothing_type="none"),
            runset_settings=ws.RunsetSettings(
                filters=ws.And(ws.Tags().isin([self.tag])),
                # A chart reads the tables of the first 500 runs: the one that has any comes first.
                order=[ws.Ordering(ws.Summary(names.summary("results/rows")), ascending=False)],
            ),
        )

    def report(self) -> Any:
        """Not saved yet; making it asks the server for the project."""
        wr = self.wr
        runs = wr.Runset(entity=self.entity, project=self.project, filters=self.ws.And(self.ws.Tags().isin([self.tag])))
        blocks = [
            wr.P(f"Sweep {self.sweep.name}, {len(self.sweep.cells)} cells: python launch.py {self._typed()}"),
        ]
        for title, text, panels in self.sections():
            blocks += [wr.H1(title), wr.P(text), wr.PanelGrid(runsets=[runs], panels=panels)]
        title = f"xstilts: {self.sweep.name}"
        return wr.Report(entity=self.entity, project=self.project, title=title, blocks=blocks)

    def _typed(self) -> str:
        return " ".join(part for part in self.sweep.command if not part.startswith("store."))
