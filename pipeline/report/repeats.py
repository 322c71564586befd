"""How often documents and passages repeat, with how similar near copies are."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.figures import count, number, percent
from pipeline.report import plots, values
from pipeline.report.model import Report, Row
from pipeline.report.values import Cell, Grid, Plot, Section

GRAINS = {"raw": "raw: same bytes", "exact": "exact: same words", "near": "near copies", "passage": "passage"}
_MEASURES = ("documents", "tokens", "bytes")


def histogram_section(report: Report) -> Section:
    """The repeat histogram at every grain."""
    once = [row for row in report.histogram if row["grain"] == "near" and row["copies_min"] == 1]
    total = report.metric("documents") or 0
    alone = once[0]["documents"] if once else 0
    words = (
        f"{number(alone)} of {number(total)} documents ({percent(alone / total if total else None)}) have no"
        " copy and no near copy; the plots show the others, and the table everything. A document in a group"
        " of five counts under 2-5 with all five."
    )
    grids = (_grains(report), _histogram(report.histogram))
    return Section("repeats", "How often it repeats", (words,), plots=_plots(report), grids=grids)


def _plots(report: Report) -> tuple[Plot, ...]:
    shares = _shares(report)
    most = max((row["share"] for rows in shares.values() for row in rows), default=0)
    if not most:
        return ()
    bins = list(dict.fromkeys(row["bin"] for row in report.histogram if row["copies_min"] > 1))
    note = "Passages: documents by their most frequent passage, tokens and bytes by the passage they lie in."
    return tuple(
        Plot(
            f"repeats-{unit}",
            unit.capitalize(),
            plots.repeats(rows, bins, most, unit),
            note if i == 0 else "",
        )
        for i, (unit, rows) in enumerate(shares.items())
    )


def _shares(report: Report) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for unit in _MEASURES:
        total = report.metric(unit) or 0
        found[unit] = [
            {"grain": row["grain"], "bin": row["bin"], "count": row[unit], "share": row[unit] / total}
            for row in report.histogram
            if row["copies_min"] > 1 and row["grain"] in plots.GRAIN_COLOURS and total
        ]
    return found


def _grains(report: Report) -> Grid:
    columns = values.columns(
        ("grain", "grain"),
        ("groups", "groups", "groups of two or more documents; passages: distinct repeated passages"),
        ("grouped_documents", "documents in them"),
        ("surplus_documents", "surplus", "documents beyond the first of each group"),
        ("surplus_fraction", "surplus share"),
        ("repeated_tokens_fraction", "tokens in them"),
        ("largest_group", "largest"),
    )
    rows = []
    for grain in ("raw", "exact", "near"):
        counts = [
            values.number(report.metric(f"{grain}_{column.key}")) for column in (*columns[1:4], columns[6])
        ]
        shares = [values.percent(report.metric(f"{grain}_{column.key}")) for column in columns[4:6]]
        rows.append([values.plain(GRAINS[grain]), *counts[:3], *shares, counts[3]])
    if report.passages is not None:
        rows.append(_passage_row(report))
    return Grid("grains", "Groups and surplus at each grain", columns, values.rows(rows))


def _passage_row(report: Report) -> list[Cell]:
    # Places of one passage may be in one document, so there is no surplus of documents.
    return [
        values.plain(f"passage of {report.config['passages']['min_tokens']}+ tokens"),
        values.number(report.metric("passages")),
        values.number(report.metric("passage_repeated_documents")),
        values.number(None),
        values.percent(None),
        values.percent(report.metric("passage_repeated_tokens_fraction")),
        values.number(report.metric("passage_most_occurrences")),
    ]


def _histogram(rows: Sequence[Row]) -> Grid:
    columns = values.columns(
        ("grain", "grain"),
        ("copies_min", "occurs"),
        ("documents", "documents"),
        ("groups", "groups"),
        ("surplus_documents", "surplus"),
        ("passages", "passages"),
        ("tokens", "tokens"),
        ("bytes", "bytes"),
    )
    cells = [
        [
            values.plain(GRAINS[row["grain"]]),
            Cell(row["bin"], str(row["copies_min"]), "number"),
            *(values.number(row[column.key]) for column in columns[2:]),
        ]
        for row in sorted(rows, key=lambda row: (list(GRAINS).index(row["grain"]), row["copies_min"]))
    ]
    return Grid(
        "histogram", "Repeat histogram: every number", columns, values.rows(cells), tall=True, folded=True
    )


def similarity_section(report: Report) -> Section:
    """How similar verified pairs are, with the probability to find such a pair."""
    rows, near = report.similarity, report.config["near"]
    ends, threshold = (near["floor"], 1.0), near["threshold"]
    curve = Plot("detection", "Probability to find a pair", plots.detection(rows, ends, threshold))
    drawn: tuple[Plot, ...] = (curve,)
    if any(row["pairs"] for row in rows):
        bars = plots.similarity(rows, ends, threshold)
        drawn = (Plot("similarity", "Verified pairs by similarity", bars), curve)
    title, grids = "How similar near copies are", (_similarity(rows),)
    return Section("similarity", title, _pair_words(report), plots=drawn, grids=grids)


def _pair_words(report: Report) -> tuple[str, str]:
    near, pairs = report.config["near"], sum(row["pairs"] for row in report.similarity)
    at_threshold, dropped = report.metric("pairs_at_threshold"), report.metric("pairs_dropped_by_sketch")
    compared = (
        f"{count(pairs, 'pair')} of distinct texts, compared exactly, reached a similarity of"
        f" {near['floor']:g}; {number(at_threshold)} of them reached the threshold of"
        f" {near['threshold']:g}, too, and make clusters. Pairs are evidence, not all there are: texts of a"
        " large group are compared with a hub, not all with all."
    )
    found = (
        f"Two texts become candidates when their signatures share one of {near['bands']} bands of"
        f" {near['rows']} values; the curve is the probability of that."
        f" {number(dropped)} candidates were not compared, since their sketches put them clearly below the"
        " floor."
    )
    return compared, found


def _similarity(rows: Sequence[Row]) -> Grid:
    columns = values.columns(
        ("jaccard_min", "similarity from"),
        ("jaccard_max", "to under"),
        ("pairs", "pairs"),
        ("detection", "found"),
    )
    cells = [
        [
            Cell(f"{row['jaccard_min']:.2f}", values.exact(row["jaccard_min"]), "number"),
            Cell(f"{row['jaccard_max']:.2f}", values.exact(row["jaccard_max"]), "number"),
            values.number(row["pairs"]),
            values.percent(row["detection"]),
        ]
        for row in rows
    ]
    return Grid("similarity", "Pairs by hundredths of similarity", columns, values.rows(cells), folded=True)
