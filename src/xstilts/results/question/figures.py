"""The figures of the notebooks. Shape tells what colour tells, for print and for every kind of colour vision.

Colours are those of Okabe and Ito (2008); maps run from orange (down) to purple (up) through white.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xstilts.results.question.answer import Analysis
from xstilts.results.question.contrast import Effects, Resource
from xstilts.results.question.robustness import Check

COLOUR = {"low": "#D55E00", "high": "#0072B2", "unseen": "#009E73"}
MARK = {"low": "o", "high": "s", "unseen": "^"}
TITLE = {"low": "low-resource", "high": "high-resource", "unseen": "unseen"}
MODELS = (("#000000", "o"), ("#56B4E9", "s"), ("#CC79A7", "^"), ("#E69F00", "D"), ("#F0E442", "v"))
UP_DOWN = "PuOr"
POINTS = "change by intermediate training (points)"


def by_model(one: Analysis) -> Figure:
    """What intermediate training does at each model, to typical low- and high-resource and to unseen languages."""
    figure, axes = _figure(6.4, 3.2)
    for place, tier in enumerate(("low", "high", "unseen")):
        estimates = [getattr(one.each[name], tier) for name in one.models]
        at = np.arange(len(estimates)) + 0.16 * (place - 1)
        bounds = np.array([estimate.interval() for estimate in estimates], float)
        values = np.array([estimate.value for estimate in estimates], float)
        spread = np.abs(bounds.T - values)
        style = {"fmt": MARK[tier], "color": COLOUR[tier], "capsize": 3, "label": TITLE[tier], "markersize": 6}
        axes.errorbar(at, values, yerr=spread, **style)  # type: ignore[arg-type]
    axes.set_xticks(range(len(one.models)), one.models)
    axes.set_ylabel("change (points)")
    _zero(axes, "h")
    axes.legend(frameon=False, ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def over_resource(averaged: pd.DataFrame, one: Analysis) -> Figure:
    """A language a dot, over the text that the model has read of it, with the fitted line and its unseen languages."""
    figure, panels = plt.subplots(
        1, len(one.models), figsize=(3.1 * len(one.models), 3.3), sharey=True, layout="constrained", squeeze=False
    )
    resource = Resource.of(averaged[averaged["change"].notna()])
    for axes, name in zip(panels[0], one.models, strict=True):
        languages = (
            averaged[averaged["model"] == name].groupby(["language", "tier"], as_index=False)[["change", "text"]].mean()
        )
        _dots(axes, languages)
        _line(axes, languages, one.each[name], resource)
        _zero(axes, "h")
        axes.set_title(name, loc="left", fontsize=10)
    panels[0][0].set_ylabel(POINTS)
    figure.supxlabel("text read in pretraining (GiB); unseen at the left", fontsize=9)
    return figure


def forest(checks: Sequence[Check], estimate: str = "shift", unit: str = "points") -> Figure:
    """An estimate by every way of looking at it, with 95 % intervals; only checks in the same unit."""
    shown = [check for check in checks if check.unit == unit]
    figure, axes = _figure(6.8, 0.7 + 0.29 * len(shown))
    for place, check in enumerate(reversed(shown)):
        found = getattr(check, estimate)
        low, high = found.interval()
        if not np.isnan(low):
            axes.plot([low, high], [place, place], color="#444444", linewidth=1.4)
            axes.plot(found.value, place, "o", color=COLOUR["low"], markersize=5)
        else:
            axes.text(0, place, "  no data", va="center", fontsize=8, color="#666666")
    axes.set_yticks(range(len(shown)), [f"{check.name}  ({check.pairs})" for check in reversed(shown)], fontsize=8)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.set_xlabel(f"{estimate} at low-resource languages ({unit}); in brackets pairs")
    _zero(axes, "v")
    return figure


def heat(table: pd.DataFrame, marked: set[tuple[str, str]] = frozenset(), title: str = "") -> Figure:  # type: ignore[assignment]
    """[inter, target] of changes, each with its number; `marked` pairs, of the same task, in brackets."""
    figure, axes = _figure(1.6 + 0.62 * table.shape[1], 0.9 + 0.34 * table.shape[0])
    values = table.to_numpy(float)
    reach = max(float(np.nanpercentile(np.abs(values), 90)) if np.isfinite(values).any() else 0.0, 1.0)
    axes.imshow(values, cmap=UP_DOWN, vmin=-reach, vmax=reach, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        said = "-" if np.isnan(value) else f"{value:+z.1f}"
        same = (str(table.index[row]), str(table.columns[column])) in marked
        dark = not np.isnan(value) and abs(value) > 0.7 * reach
        axes.text(
            column,
            row,
            f"({said})" if same else said,
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(table.shape[1]), [str(name) for name in table.columns], rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(table.shape[0]), [str(name) for name in table.index], fontsize=8)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def grouped(table: pd.DataFrame, what: str, value: str = "change", label: str = POINTS) -> Figure:
    """A group a row, a model a mark, the groups with most to lose at the smallest model first."""
    models = list(dict.fromkeys(table.sort_values("parameters")["model"]))
    first = table[table["model"] == models[0]].set_index(what)[value]
    groups = list(first.sort_values(ascending=False).index)
    figure, axes = _figure(6.4, 0.9 + 0.24 * len(groups))
    for place, name in enumerate(models):
        own = table[table["model"] == name].set_index(what)[value].reindex(groups)
        colour, mark = MODELS[place % len(MODELS)]
        axes.plot(own, range(len(groups)), mark, color=colour, label=name, markersize=6)
    axes.set_yticks(range(len(groups)), groups, fontsize=8)
    axes.set_ylim(-0.7, len(groups) - 0.3)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_xlabel(label)
    _zero(axes, "v")
    axes.legend(frameon=False, ncol=len(models), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def affinity(table: pd.DataFrame, title: str = "") -> Figure:
    """[languages, languages] of correlations, languages that are alike beside each other."""
    order = _ordered(table)
    values = table.loc[order, order].to_numpy(float, copy=True)
    np.fill_diagonal(values, np.nan)
    figure, axes = _figure(1.6 + 0.3 * len(order), 1.2 + 0.3 * len(order))
    image = axes.imshow(values, cmap="cividis", vmin=0.0)
    axes.set_xticks(range(len(order)), order, fontsize=8)
    axes.set_yticks(range(len(order)), order, fontsize=8)
    axes.set_title(title, loc="left", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8, label="correlation of being wrong")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _zero(axes: Axes, way: str) -> None:
    line = axes.axhline if way == "h" else axes.axvline
    line(0, color="#999999", linewidth=0.8, zorder=0)


def _dots(axes: Axes, languages: pd.DataFrame) -> None:
    """One a language, with its code; unseen ones left of the axis's beginning."""
    axes.set_xscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    least = languages.loc[languages["text"] > 0, "text"].min()
    for tier, own in languages.groupby("tier"):
        x = own["text"].where(own["text"] > 0, least / 4)
        axes.plot(
            x, own["change"], MARK[str(tier)], color=COLOUR[str(tier)], markersize=4, alpha=0.75, markeredgewidth=0
        )
        for at, value, code in zip(x, own["change"], own["language"], strict=True):
            if tier != "high" and np.isfinite(value):
                axes.annotate(code, (at, value), xytext=(3, 2), textcoords="offset points", fontsize=6, color="#333333")


def _line(axes: Axes, languages: pd.DataFrame, found: Effects, resource: Resource) -> None:
    sizes = languages.loc[languages["text"] > 0, "text"]
    if sizes.empty or np.isnan(found.slope.value):
        return
    x = np.geomspace(sizes.min(), sizes.max(), 50)
    axes.plot(x, found.low.value + found.slope.value * (np.log10(x) - resource.low), color="#222222", linewidth=1.2)


def _ordered(table: pd.DataFrame) -> list[str]:
    """Each language next to the one most like it that is left, from the most typical on."""
    left = [str(name) for name in table.index]
    order = [str(table.mean().idxmax())]
    left.remove(order[0])
    while left:
        following = str(table.loc[order[-1], left].astype(float).fillna(-1.0).idxmax())
        order.append(following)
        left.remove(following)
    return order
