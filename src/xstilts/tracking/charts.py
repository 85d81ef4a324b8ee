"""Charts that W&B has no panel for, as Vega-Lite over a table of a sweep's results run.

W&B puts the table in as the data set `wandb`, a column's name for `${field:...}` and a panel's own words for
`${string:...}`. Colours are those of ColorBrewer and Okabe & Ito that colour-blind people tell apart; a change of 0 is
white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xstilts.stage import digest
from xstilts.tracking.tables import COLUMNS

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
TIERS = {"domain": ["high", "low", "unseen"], "range": ["#0072b2", "#e69f00", "#cc79a7"]}
AXIS = {"format": "~s", "tickCount": 4, "grid": False}
Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification and the columns of the table that it reads."""

    name: str
    table: str
    columns: Sequence[str]
    spec: Spec

    def __post_init__(self) -> None:
        if unknown := set(self.columns) - set(COLUMNS[self.table]):
            raise KeyError(f"the table {self.table} has no column {', '.join(sorted(unknown))}")

    @property
    def preset(self) -> str:
        """Its name on the server, which never means two different charts."""
        return f"xstilts-{self.name}-{digest(self.spec)[:8]}"


def _field(name: str) -> str:
    return f"${{field:{name}}}"


def _axis(name: str, kind: str, title: str | None = None, **more: Any) -> Spec:
    return {"field": _field(name), "type": kind, "title": title, **more}


def _sized(name: str = "parameters") -> Spec:
    return _axis(name, "quantitative", "parameters", scale={"type": "log", "padding": 12}, axis=AXIS)


def _spec(**more: Any) -> Spec:
    return {"$schema": SCHEMA, "data": {"name": "wandb"}, "title": "${string:title}", **more}


def _measured(name: str) -> Spec:
    """Rows that have a value: missing is drawn as nothing, and never as 0."""
    return {"filter": f"isValid(datum['{_field(name)}'])"}


def _mean(change: str, *by: str) -> Spec:
    return {
        "aggregate": [{"op": "mean", "field": _field(change), "as": "mean"}, {"op": "count", "as": "n"}],
        "groupby": [_field(name) for name in by],
    }


def heat() -> Chart:
    """What an intermediate task changes: a panel a model, targets across, tasks down, of one group of languages."""
    by = ("model", "parameters", "inter", "target")
    of_group = {"filter": f"datum['{_field('languages')}'] == '${{string:group}}'"}
    cell = {
        "x": _axis("target", "nominal"),
        "y": _axis("inter", "nominal"),
    }
    color = {
        "field": "mean",
        "type": "quantitative",
        "title": "points",
        "scale": {"scheme": "blueorange", "domainMid": 0, "reverse": True},
    }
    text = {"field": "mean", "type": "quantitative", "format": "+.1f"}
    spec = _spec(
        transform=[of_group, _measured("change"), _mean("change", *by)],
        facet={"column": _axis("model", "nominal", sort={"field": _field("parameters")})},
        spec={
            "width": {"step": 44},
            "height": {"step": 22},
            "layer": [
                {"mark": {"type": "rect", "tooltip": True}, "encoding": {**cell, "color": color}},
                {"mark": {"type": "text", "fontSize": 10}, "encoding": {**cell, "text": text}},
            ],
        },
    )
    return Chart("heat", "transfer", (*by, "languages", "change"), spec)


def resources() -> Chart:
    """Change by scale for high-resource, low-resource and unseen languages: points are targets, lines their means."""
    by = ("parameters", "inter", "languages")
    tier = _axis("languages", "nominal", "resource", scale=TIERS)
    spec = _spec(
        transform=[{"filter": {"field": _field("languages"), "oneOf": TIERS["domain"]}}, _measured("change")],
        facet=_axis("inter", "nominal"),
        columns=3,
        spec={
            "width": 190,
            "height": 140,
            "layer": [
                {"mark": {"type": "rule", "color": "#999"}, "encoding": {"y": {"datum": 0}}},
                {
                    "mark": {"type": "point", "filled": True, "opacity": 0.35, "size": 18, "tooltip": True},
                    "encoding": {"x": _sized(), "y": _axis("change", "quantitative", "points"), "color": tier},
                },
                {
                    "mark": {"type": "line", "point": {"size": 50}},
                    "encoding": {
                        "x": _sized(),
                        "y": _axis("change", "quantitative", "points", aggregate="mean"),
                        "color": tier,
                        "strokeDash": {**tier, "scale": {"domain": TIERS["domain"]}},
                    },
                },
            ],
        },
    )
    return Chart("resources", "transfer", (*by, "change", "target"), spec)


def languages() -> Chart:
    """A line a language over scale, the darker the more of it was read in pretraining."""
    read = {"calculate": f"datum['{_field('resource_gib')}'] + 0.01", "as": "read"}
    spec = _spec(
        transform=[_measured("change"), read],
        facet=_axis("inter", "nominal"),
        columns=3,
        spec={
            "width": 190,
            "height": 160,
            "layer": [
                {"mark": {"type": "rule", "color": "#999"}, "encoding": {"y": {"datum": 0}}},
                {
                    "mark": {"type": "line", "point": True, "tooltip": {"content": "data"}},
                    "encoding": {
                        "x": _sized(),
                        "y": _axis("change", "quantitative", "points", aggregate="mean"),
                        "detail": _axis("language", "nominal"),
                        "color": {
                            "field": "read",
                            "type": "quantitative",
                            "title": "GiB read",
                            "scale": {"type": "log", "scheme": "viridis", "reverse": True},
                            "legend": {"values": [0.01, 0.1, 1, 10, 100]},
                        },
                    },
                },
            ],
        },
    )
    return Chart("languages", "languages", ("parameters", "inter", "language", "resource_gib", "change"), spec)


def cost() -> Chart:
    """Device hours by model, training and evaluation apart."""
    spec = _spec(
        width=320,
        mark={"type": "bar", "tooltip": True},
        encoding={
            "x": _axis("device_hours", "quantitative", "device hours", aggregate="sum"),
            "y": _axis("model", "nominal", sort={"field": _field("parameters")}),
            "color": _axis("kind", "nominal", None, scale={"range": ["#e69f00", "#0072b2"]}),
        },
    )
    return Chart("cost", "costs", ("device_hours", "model", "parameters", "kind"), spec)


CHARTS = (heat(), resources(), languages(), cost())
