"""Exposures with what published studies say of texts seen so often."""

from __future__ import annotations

from pipeline import risk
from pipeline.figures import large, number, percent, size
from pipeline.report import plots, values
from pipeline.report.model import Report, Row
from pipeline.report.values import Cell, Grid, Plot, Section
from pipeline.schemas import BINS

_BINS = [name for _, name in BINS]
_NO_MODEL = (
    "No model is configured, so there are tiers but no evidence intervals: set model.parameters (and"
    " model.training_tokens) to see them."
)
_GRAINS = {"document": "documents", "passage": "passages"}


def risk_section(report: Report) -> Section:
    """Exposures, tiers, evidence intervals, and what they do not say."""
    curve = _curve(report)
    drawn = [plot for grain in _GRAINS for plot in _share_plot(report, grain)]
    known = [row for row in _evidence(report) if row["low"] is not None]
    if known:
        beside = [row for row in curve if row["low"] is not None]
        drawn.append(
            Plot(
                "evidence",
                "Published share reproduced",
                plots.evidence(known, beside, _BINS[1:]),
                "Lowest to highest."
                + (f" Thin: 95% interval of {report.config['model']['curve']}." if beside else ""),
            )
        )
    grids = [_risk_grid(report), *([_curve_grid(report, curve)] if curve else [])]
    if _fine_tuning(report):
        grids.append(_membership_grid())
    labels = report.manifest.get("labels") or risk.LABELS
    return Section(
        "risk",
        "Exposures and risk",
        (f"What a percentage means here. {labels.get('quantity', risk.QUANTITY)}", *_model_words(report)),
        plots=tuple(drawn),
        grids=(*grids, _context_grid()),
        quotes=(
            labels.get("label", risk.NOT_A_MEASUREMENT),
            *(text for name, text in labels.items() if name not in {"label", "quantity"}),
        ),
    )


def _model(report: Report) -> dict[str, float | str | None]:
    return report.config.get("model") or {}


def _size_of_model(report: Report) -> tuple[float | None, float | None]:
    model = _model(report)
    return model.get("parameters"), model.get("training_tokens")  # type: ignore[return-value]


def _fine_tuning(report: Report) -> bool:
    _, training = _size_of_model(report)
    return training is not None and training < risk.LEAST_TRAINING_TOKENS


def _model_words(report: Report) -> tuple[str, ...]:
    parameters, training = _size_of_model(report)
    if parameters is None:
        return (_NO_MODEL,)
    words = f"The configured model has {large(parameters)} parameters"
    words += f" and trains on {large(training)} tokens." if training is not None else "."
    tokens, text = report.metric("exact_distinct_tokens"), report.metric("raw_distinct_bytes")
    capacity = (
        f"A model of that size can hold about {size(risk.capacity_bytes(parameters))}"
        f" ({risk.BITS_A_PARAMETER} bits a parameter, Morris et al. 2025, arXiv 2505.24832)."
        f" The distinct texts here have {size(text)} and {number(tokens)} tokens."
    )
    return words, capacity


def _share_plot(report: Report, grain: str) -> list[Plot]:
    rows = [row for row in report.risk if row["grain"] == grain]
    total = sum(row["tokens"] for row in rows)
    above = [row for row in rows if row["exposures_min"] > 1]
    if not any(row["tokens"] for row in above):
        return []
    drawn = [
        {
            "bin": row["bin"],
            "tier": row["risk_tier"],
            "tokens": row["tokens"],
            "share": row["tokens"] / total,
        }
        for row in above
    ]
    once = percent(1 - sum(row["share"] for row in drawn))
    note = (
        f"Under 2 exposures: {once} of the tokens, not drawn."
        if grain == "document"
        else "Predictable ones left out."
    )
    title = f"Tokens of {_GRAINS[grain]} by exposures"
    return [Plot(f"exposures-{grain}", title, plots.exposures(drawn, _BINS[1:], grain), note)]


def _evidence(report: Report) -> list[Row]:
    return [
        {
            "bin": row["bin"],
            "tier": row["risk_tier"],
            "low": row["evidence_low"],
            "high": row["evidence_high"],
        }
        for row in report.risk
        if row["grain"] == "document"
    ]


def interval(low: float | None, high: float | None, reason: str | None) -> Cell:
    """An evidence interval, or why there is none."""
    if low is None or high is None:
        return values.name(reason, 120)
    return Cell(f"{low:.0%} to {high:.0%}", f"{low} {high}", "number left")


def _risk_grid(report: Report) -> Grid:
    columns = values.columns(
        ("grain", "grain"),
        ("exposures_min", "exposures"),
        ("risk_tier", "tier"),
        ("documents", "documents"),
        ("passages", "passages"),
        ("tokens", "tokens"),
        (
            "evidence",
            "published share reproduced",
            "lowest to highest published value for models of this size",
        ),
    )
    cells = [
        [
            values.plain(_GRAINS[row["grain"]]),
            Cell(row["bin"], str(row["exposures_min"]), "number"),
            values.tier(row["risk_tier"]),
            *(values.number(row[key]) for key in ("documents", "passages", "tokens")),
            interval(row["evidence_low"], row["evidence_high"], row["evidence_reason"]),
        ]
        for row in report.risk
    ]
    return Grid("risk", "Exposures, tiers and evidence", columns, values.rows(cells))


def _curve(report: Report) -> list[Row]:
    # At the lower end of each bin: exposures are rounded down.
    chosen = _model(report).get("curve")
    if chosen not in risk.CURVES:
        return []
    parameters, training = _size_of_model(report)
    found = []
    for least, name in BINS[1:]:
        estimate = risk.curve(str(chosen), float(least), parameters, training)
        found.append(
            {
                "bin": name,
                "copies": least,
                "low": estimate.low,
                "high": estimate.high,
                "reason": estimate.reason,
            }
        )
    return found


def _curve_grid(report: Report, rows: list[Row]) -> Grid:
    chosen = str(_model(report)["curve"])
    columns = values.columns(("copies", "copies"), ("interval", "95% interval of the curve"))
    cells = [[values.number(row["copies"]), interval(row["low"], row["high"], row["reason"])] for row in rows]
    note = (
        f"{risk.CURVES[chosen].source}. The interval says how well the curve fits its own study, not what"
        " holds for other data."
    )
    return Grid("curve", f"Reference curve {chosen}", columns, values.rows(cells), note)


def _membership_grid() -> Grid:
    columns = values.columns(("copies", "exact copies"), ("auc", "AUC", "0.5 is chance, 1 is certainty"))
    cells = [
        [values.number(copies), Cell(f"{auc:.2f}", str(auc), "number")] for copies, auc in risk.MEMBERSHIP_AUC
    ]
    note = (
        "How well one can tell that a text was trained on; mean of four models of 1 to 3 billion parameters"
        " (Mosaic Memory, arXiv 2405.15523). On fewer than 10 billion training tokens extraction was not"
        " measured."
    )
    return Grid("membership", "Fine-tuning: membership inference", columns, values.rows(cells), note)


def _context_grid() -> Grid:
    columns = values.columns(
        ("what", "figure"), ("corpus", "corpus"), ("value", "value"), ("source", "source")
    )
    cells = [
        [values.plain(figure.what), values.plain(corpus), values.percent(value), values.plain(figure.source)]
        for figure in risk.CONTEXT
        for corpus, value in figure.values
    ]
    note = "Published figures, each by its own definition of a repeat: they give the order of magnitude."
    return Grid("context", "Other corpora", columns, values.rows(cells), note, folded=True)
