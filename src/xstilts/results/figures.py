"""Figures, drawn by Matplotlib: for a page as SVG that follows the page's colours, for a paper as PDF.

Series differ in colour and in marker or dash; the colours are Okabe and Ito's, which every kind of colour vision tells
apart. Nothing here decides a number: see `xstilts.results.views`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from math import ceil, isnan, nan
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from xstilts.results.lines import FAMILIES
from xstilts.results.tiers import TIERS, tier
from xstilts.results.views import feeds

INK, QUIET, RULE = "#1b1f24", "#59636e", "#c8ced5"
UP, DOWN = "#3b82c4", "#c96a12"  # as in the terminal
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b8860b")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = {"high": "-", "low": "--", "unseen": ":"}
#: A colour of a figure -> the page's own, which differs by day and night.
VARIABLES = {INK: "--ink", QUIET: "--quiet", RULE: "--rule", **{c: f"--s{i}" for i, c in enumerate(SERIES)}}
STYLE: Any = {
    "font.size": 8,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "xstilts",  # the same figure is the same file
    "pdf.fonttype": 42,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
}


def tiers(means: pd.DataFrame, single: pd.DataFrame) -> Figure:
    """Change by model size, a line a tier and a panel an intermediate task; thin lines are single targets.

    `means` is `views.by_tier` of one world, `single` the same with targets.
    """
    means, single = means.assign(feed=feeds(means)), single.assign(feed=feeds(single))
    panels = list(means["feed"].drop_duplicates())
    models = list(means.sort_values(["parameters", "model"])["model"].drop_duplicates())
    columns = min(4, len(panels))
    rows = ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        width, height = 2.6 * max(columns, 2), 1.9 * rows + 0.7
        figure = Figure(figsize=(width, height))
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        _margins(figure, 0.25, 0.65)
        figure.subplots_adjust(wspace=0.08, hspace=0.35)
        for place, axis in enumerate(axes.flat):
            if place >= len(panels):
                axis.set_visible(False)
                continue
            _tiers(axis, panels[place], means, single, models)
        for row in axes:
            row[0].set_ylabel("change, points")
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=3)
    return figure


def _margins(figure: Figure, top: float, bottom: float, left: float = 0.5, right: float = 0.1) -> None:
    """In inches; Matplotlib's own layout engines take seconds for as many panels as a full sweep has."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)


def _tiers(axis: Axes, panel: str, means: pd.DataFrame, single: pd.DataFrame, models: Sequence[str]) -> None:
    axis.axhline(0, color=RULE, linewidth=1, zorder=0)
    for number, name in enumerate(TIERS):
        at = (single["feed"] == panel) & (single["tier"] == name)
        for _, one in single[at].groupby("target"):
            axis.plot(*_points(one, models), DASHES[name], color=SERIES[number], linewidth=0.6, alpha=0.35)
        own = means[(means["feed"] == panel) & (means["tier"] == name)]
        x, y = _points(own, models)
        axis.plot(x, y, DASHES[name], marker=MARKERS[number], color=SERIES[number], markersize=5, label=name)
    axis.set_title(panel)
    axis.set_xticks(range(len(models)), models)
    axis.set_xlim(-0.4, len(models) - 0.6)


def _points(rows: pd.DataFrame, models: Sequence[str]) -> tuple[list[int], list[float]]:
    by_model = dict(zip(rows["model"], rows["change"], strict=True))
    return list(range(len(models))), [by_model.get(model, nan) for model in models]


def languages(rows: pd.DataFrame) -> Figure:
    """Change by language, from most to least pretraining text; a panel an intermediate task, a marker a model.

    `rows` is `views.by_language` of one world.
    """
    rows = rows.assign(feed=feeds(rows))
    amounts = rows.groupby("language")["resource_gib"].max().sort_index().sort_values(ascending=False, kind="stable")
    panels = list(rows["feed"].drop_duplicates())
    models = list(rows.sort_values(["parameters", "model"])["model"].drop_duplicates())
    with mpl.rc_context(STYLE):
        width = min(max(5.5, 1.2 + 0.19 * len(amounts)), 11)
        figure = Figure(figsize=(width, 1.5 * len(panels) + 0.7))
        axes = figure.subplots(len(panels), 1, sharey=True, squeeze=False)[:, 0]
        _margins(figure, 0.25, 0.7)
        figure.subplots_adjust(hspace=0.5)
        for panel, axis in zip(panels, axes, strict=True):
            own = rows[rows["feed"] == panel]
            axis.set_title(f"{panel}  ", pad=4)
            axis.set_title(f"mean of {own['over'].iloc[0]}", loc="right", color=QUIET, fontsize=7, fontweight="normal")
            _languages(axis, own, list(amounts.index), models)
            axis.margins(y=0.16)  # room for the tiers' names
            _edges(axis, amounts)
        axes[-1].set_xlabel("languages, from most to least pretraining text")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=len(models))
    return figure


def _languages(axis: Axes, rows: pd.DataFrame, order: list[str], models: Sequence[str]) -> None:
    axis.axhline(0, color=RULE, linewidth=1, zorder=0)
    shift = 0.5 / max(len(models), 1)
    for number, model in enumerate(models):
        own = rows[rows["model"] == model].set_index("language")["change"].reindex(order)
        x = [place + (number - (len(models) - 1) / 2) * shift for place in range(len(order))]
        style: Any = {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)]}
        axis.plot(x, own, linestyle="none", markersize=3.5, label=model, **style)
    axis.set_xticks(range(len(order)), order, fontsize=7)
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.7, len(order) - 0.3)
    axis.set_ylabel("points")


def _edges(axis: Axes, amounts: pd.Series) -> None:
    """Where one tier ends and the next begins."""
    names = [tier(amount) for amount in amounts]
    for place, (left, right) in enumerate(pairwise(names)):
        if left != right:
            axis.axvline(place + 0.5, color=RULE, linewidth=1, zorder=0)
            axis.text(place + 0.6, 1, right, transform=axis.get_xaxis_transform(), color=QUIET, fontsize=7, va="top")


def heat(summary: pd.DataFrame, group: str = "zero-shot") -> Figure:
    """Change by intermediate task and target, a panel a model; the number, and in brackets of how many languages.

    `summary` is `xstilts.results.summary.summary` of one world. What is missing is a dash on no colour.
    """
    rows = summary[(summary["languages"] == group) & (summary["inter"] != "none")]
    rows = rows.assign(feed=feeds(rows))
    models = list(rows.sort_values(["parameters", "model"])["model"].drop_duplicates())
    order, targets = list(rows["feed"].drop_duplicates().sort_values()), columns(rows)
    limit = scale(summary)
    with mpl.rc_context(STYLE):
        size = (1.7 + 0.62 * len(targets) * len(models), 1.1 + 0.3 * len(order))
        figure = Figure(figsize=size)
        axes = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        _margins(figure, 0.3, 0.8, left=0.8, right=0.9)
        figure.subplots_adjust(wspace=0.03)
        image = None
        for model, axis in zip(models, axes, strict=True):
            own = rows[rows["model"] == model]
            grid = own.pivot_table("change", "feed", "target", dropna=False).reindex(index=order, columns=targets)
            image = axis.imshow(grid.to_numpy(float), cmap=_diverging(), vmin=-limit, vmax=limit, aspect="auto")
            _numbers(axis, own, order, targets)
            axis.set_title(model)
            axis.set_xticks(range(len(targets)), targets, rotation=60, ha="right", rotation_mode="anchor")
            axis.set_yticks(range(len(order)), order)
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        if image is not None:
            bottom, top = figure.subplotpars.bottom, figure.subplotpars.top
            bar = figure.add_axes((1 - 0.75 / size[0], bottom, 0.12 / size[0], top - bottom))
            figure.colorbar(image, cax=bar, label="change, points")
    return figure


def _numbers(axis: Axes, rows: pd.DataFrame, order: list[str], targets: list[str]) -> None:
    found: Iterable[Any] = rows.itertuples(index=False)
    for row in found:
        if row.of:
            text = "–" if isnan(row.change) else f"{row.change:+z.1f}"
            place = targets.index(row.target), order.index(row.feed)
            axis.text(*place, f"{text} ({row.change_n})", ha="center", va="center", fontsize=5.5)


def columns(summary: pd.DataFrame) -> list[str]:
    """The targets of a summary, family by family as in XTREME's tables."""
    families = {name: place for place, name in enumerate(FAMILIES)}
    known = summary[["group", "target"]].drop_duplicates()
    return list(
        known.sort_values(["group", "target"], key=lambda c: c.map(lambda v: (families.get(v, 9), v)))["target"]
    )


def scale(summary: pd.DataFrame) -> float:
    """The change, in points, that has the full colour: the largest outside of English, and at least one point."""
    known = summary.loc[summary["languages"] != "english", "change"].abs().dropna()
    return float(max([1.0, *known]))


def _diverging() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("change", [DOWN, "#ffffff", UP])


def svg(figure: Figure, name: str, title: str) -> str:
    """For a page: its colours are the page's variables, its ids begin with `name`, and `title` says what it shows."""
    buffer = BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    natural = 96 * figure.get_figwidth()  # on a wide screen a small figure stays small, on a narrow one text legible
    sizes = f"max-width: {1.1 * natural:.0f}px; --least: {0.75 * natural:.0f}px"
    return text.replace("<svg", f'<svg role="img" aria-label="{title}" style="{sizes}"', 1)


def pdf(figure: Figure) -> bytes:
    """For a paper; the same figure gives the same bytes."""
    buffer = BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()
