"""Vega-Lite specifications of the plots, as plain dictionaries.

Colours are the page's CSS variables, so that a plot follows light, dark and print with the page.
Names that the data gives are values of a row, never part of an expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
GRAIN_COLOURS = {"exact": "var(--exact)", "near": "var(--near)", "passage": "var(--passage)"}
TIER_COLOURS = {
    "baseline": "var(--tier-0)",
    "low": "var(--tier-1)",
    "elevated": "var(--tier-2)",
    "high": "var(--tier-3)",
    "very high": "var(--tier-4)",
}
_HEIGHT = 210
_CELL = 24
_CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "gridColor": "var(--line)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "orient": "top",
        "symbolType": "square",
        "titleColor": "var(--muted)",
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
}


def _spec(rows: Sequence[Spec], description: str, **more: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "description": description,
        "data": {"values": list(rows)},
        "width": "container",
        "height": _HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _CONFIG,
        **more,
    }


def _shares(title: str | None) -> Spec:
    return {"title": title, "axis": {"format": "~%", "tickCount": 5}}


def _colours(values: Spec, title: str | None = None) -> Spec:
    scale = {"domain": list(values), "range": list(values.values())}
    return {"type": "nominal", "scale": scale, "title": title, "legend": None}


def repeats(rows: Sequence[Spec], bins: Sequence[str], most: float, unit: str) -> Spec:
    """Bars of the share of the corpus by repeat bin and grain.

    Args:
        rows: bin, grain, share (0 to 1), count. most: the largest share of all such plots, which are
            read side by side.
    """
    grains = [grain for grain in GRAIN_COLOURS if any(row["grain"] == grain for row in rows)]
    encoding = {
        "x": {"field": "bin", "type": "ordinal", "sort": list(bins), "title": "occurs", "axis": _FLAT},
        "xOffset": {"field": "grain", "sort": grains},
        "y": {
            "field": "share",
            "type": "quantitative",
            **_shares(f"share of {unit}"),
            "scale": {"domain": [0, most], "nice": True},
        },
        "color": {"field": "grain", **_colours({grain: GRAIN_COLOURS[grain] for grain in grains})},
        "tooltip": [
            {"field": "grain", "title": "grain"},
            {"field": "bin", "title": "occurs"},
            {"field": "count", "title": unit, "type": "quantitative", "format": ","},
            {"field": "share", "title": "share", "type": "quantitative", "format": ".3~%"},
        ],
    }
    words = f"Share of {unit} that occur more than once, by how often, at each grain"
    return _spec(rows, words, mark={"type": "bar"}, encoding=encoding)


_FLAT = {"labelAngle": 0, "grid": False, "ticks": False, "labelOverlap": True}


def similarity(rows: Sequence[Spec], ends: tuple[float, float], threshold: float) -> Spec:
    """Bars of verified pairs by similarity, those at the threshold or above in the near colour.

    Args:
        rows: jaccard_min, jaccard_max, pairs. ends: of the axis.
    """
    bars = {
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {**_similarity(ends), "bin": {"binned": True, "step": 0.01}},
            "x2": {"field": "jaccard_max"},
            "y": {
                "field": "pairs",
                "type": "quantitative",
                "title": "verified pairs",
                "axis": {"tickCount": 5, "labelExpr": "format(datum.value, '~s')"},
            },
            "color": {
                "condition": {"test": f"datum.jaccard_min >= {threshold - 1e-9!r}", "value": "var(--near)"},
                "value": "var(--tier-0)",
            },
            "tooltip": [
                {"field": "jaccard_min", "title": "similarity from"},
                {"field": "jaccard_max", "title": "to under"},
                {"field": "pairs", "title": "pairs", "type": "quantitative", "format": ","},
            ],
        },
    }
    words = "Verified pairs by similarity, with the threshold from which two texts are near"
    return _spec(rows, words, layer=[bars, *_threshold(threshold, ends)])


def _similarity(ends: tuple[float, float]) -> Spec:
    # Ticks at tenths, of a hundredth where there is no tenth between the ends.
    tenths = [i / 10 for i in range(11) if ends[0] <= i / 10 <= ends[1]]
    return {
        "field": "jaccard_min",
        "type": "quantitative",
        "title": "Jaccard similarity",
        "axis": {"grid": False, "format": ".2~f", "values": tenths if len(tenths) > 2 else [*ends]},
        "scale": {"nice": False, "zero": False, "domain": [*ends]},
    }


def _threshold(threshold: float, ends: tuple[float, float]) -> list[Spec]:
    data = {"values": [{"threshold": threshold, "label": f"threshold {threshold:g}"}]}
    x = {"field": "threshold", "type": "quantitative"}
    line = {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3]}
    # The words stand on the side that has room for them.
    align, dx = ("left", 4) if threshold < sum(ends) / 2 else ("right", -4)
    label = {"type": "text", "color": "var(--ink)", "align": align, "baseline": "bottom", "fontSize": 11}
    return [
        {"data": data, "mark": line, "encoding": {"x": x}},
        {
            "data": data,
            "mark": {**label, "dx": dx, "y": -2},
            "encoding": {"x": x, "text": {"field": "label"}},
        },
    ]


def detection(rows: Sequence[Spec], ends: tuple[float, float], threshold: float) -> Spec:
    """The probability that a pair shares a band, by similarity.

    Args:
        rows: jaccard_min, detection. ends: of the axis.
    """
    line: dict[str, Spec] = {
        "mark": {"type": "line", "color": "var(--near)", "strokeWidth": 2},
        "encoding": {
            "x": _similarity(ends),
            "y": {
                "field": "detection",
                "type": "quantitative",
                **_shares("found with probability"),
                "scale": {"domain": [0, 1]},
            },
        },
    }
    hover = {
        "mark": {"type": "point", "opacity": 0, "size": 120},
        "encoding": {
            **line["encoding"],
            "tooltip": [
                {"field": "jaccard_min", "title": "similarity"},
                {"field": "detection", "title": "found", "type": "quantitative", "format": ".2%"},
            ],
        },
    }
    words = "Probability that a pair of texts becomes a candidate, by its similarity"
    return _spec(rows, words, layer=[line, hover, *_threshold(threshold, ends)])


def exposures(rows: Sequence[Spec], bins: Sequence[str], grain: str) -> Spec:
    """Bars of the share of tokens by bin of exposures, in the colour of the tier.

    Args:
        rows: bin, tier, tokens, share (0 to 1).
    """
    encoding = {
        "x": {"field": "bin", "type": "ordinal", "sort": list(bins), "title": "exposures", "axis": _FLAT},
        "y": {"field": "share", "type": "quantitative", **_shares(f"share of {grain} tokens")},
        "color": {"field": "tier", **_colours(TIER_COLOURS)},
        "tooltip": [
            {"field": "bin", "title": "exposures"},
            {"field": "tier", "title": "tier"},
            {"field": "tokens", "title": "tokens", "type": "quantitative", "format": ","},
            {"field": "share", "title": "share", "type": "quantitative", "format": ".3~%"},
        ],
    }
    words = "Share of tokens by how often training shows the text, with the risk tier"
    return _spec(rows, words, mark={"type": "bar", "width": {"band": 0.7}}, encoding=encoding)


def evidence(rows: Sequence[Spec], curve: Sequence[Spec], bins: Sequence[str]) -> Spec:
    """Published intervals by bin of exposures; beside them those of a reference curve.

    Args:
        rows: bin, tier, low, high (0 to 1). curve: bin, low, high.
    """
    x: Spec = {"field": "bin", "type": "ordinal", "title": "exposures", "axis": _FLAT}
    x["scale"] = {"domain": list(bins)}
    y = {"field": "low", "type": "quantitative", **_shares("reproduced"), "scale": {"domain": [0, 1]}}
    hints = [
        {"field": "bin", "title": "exposures"},
        {"field": "low", "title": "from", "type": "quantitative", "format": ".1%"},
        {"field": "high", "title": "to", "type": "quantitative", "format": ".1%"},
    ]
    ends: Spec = {"x": x, "y": y, "y2": {"field": "high"}, "tooltip": hints}
    bars = {
        "mark": {"type": "bar", "width": {"band": 0.42}, "minBandSize": 4},
        "encoding": {**ends, "color": {"field": "tier", **_colours(TIER_COLOURS)}},
    }
    beside = {
        "data": {"values": list(curve)},
        "mark": {"type": "rule", "strokeWidth": 3, "color": "var(--ink)", "xOffset": 18},
        "encoding": ends,
    }
    words = "Lowest and highest published share of texts that models of this size reproduce, by exposures"
    return _spec(rows, words, layer=[bars, beside] if curve else [bars])


def overlap(rows: Sequence[Spec], names: Sequence[str]) -> Spec:
    """A heat map: which share of the row's tokens the column has, too.

    Args:
        rows: of, with (both of `names`), share (0 to 1), tokens. names: one a source, each different.
    """
    axis = {"labelLimit": 200, "ticks": False, "domain": False, "title": None}
    step = {"step": _CELL}
    order = list(names)
    encoding = {
        "x": {
            "field": "with",
            "type": "nominal",
            "scale": {"domain": order},
            "axis": {**axis, "orient": "top", "labelAngle": -60},
        },
        "y": {"field": "of", "type": "nominal", "scale": {"domain": order}, "axis": axis},
        "fillOpacity": {
            "field": "share",
            "type": "quantitative",
            # A root, because small overlaps matter: 1 % must not look like nothing.
            "scale": {"type": "sqrt", "domain": [0, 1], "range": [0.06, 1]},
            "legend": None,
        },
        "tooltip": [
            {"field": "of", "title": "of the tokens of"},
            {"field": "with", "title": "this is also in"},
            {"field": "share", "title": "share", "type": "quantitative", "format": ".3~%"},
            {"field": "tokens", "title": "tokens", "type": "quantitative", "format": ","},
        ],
    }
    mark = {"type": "rect", "fill": "var(--tier-3)", "stroke": "var(--surface)", "strokeWidth": 1}
    sizes = {"width": step, "height": step, "autosize": {"type": "pad"}}
    words = "Share of the tokens of one source that another one has, too"
    return {**_spec(rows, words, mark=mark, encoding=encoding), **sizes}
