"""Sources and licences, with what they share."""

from __future__ import annotations

import polars as pl

from pipeline.figures import number
from pipeline.report import plots, values
from pipeline.report.leaks import leak_grid
from pipeline.report.model import Report, Row, collected
from pipeline.report.values import Cell, Grid, Plot, Section

LISTED = 200
DRAWN = 25
_KINDS = {"source": "sources", "licence": "licences"}
_SHARES = ("raw", "exact", "near", "passage")
_COUNTS = ("documents", "tokens", "bytes")


def origins_section(report: Report) -> Section:
    """Tables of sources and licences, heat maps, and the overlaps that stand out."""
    known = [kind for kind in _KINDS if _is_known(report, kind)]
    if not known:
        words = (
            "Neither source nor licence is configured (source, licence_column), so nothing is told apart.",
        )
        return Section("sources", "Sources and licences", words)
    grids = [leak_grid(report, kind) for kind in known]
    grids += [_grid(report, kind) for kind in known]
    drawn = [plot for kind in known for plot in _heat_map(report, kind)]
    return Section(
        "sources",
        "Sources and licences",
        (_words(report),) if "source" in known else (),
        plots=tuple(drawn),
        grids=tuple(grid for grid in grids if grid is not None),
    )


def _words(report: Report) -> str:
    texts, clusters = report.metric("cross_source_texts"), report.metric("cross_source_clusters")
    passages = report.metric("cross_source_passages")
    within = f" and {number(passages)} repeated passages" if passages is not None else ""
    return (
        f"In more than one source: {number(texts)} distinct texts, {number(clusters)} near clusters{within}."
        " Where one source is for training and the other for testing, that is a leak."
    )


def _is_known(report: Report, kind: str) -> bool:
    named = report.sources.filter(pl.col(kind).is_not_null()).select(kind).head(1)
    return not collected(named).is_empty()


def _by(report: Report, kind: str) -> pl.LazyFrame:
    weighted = [pl.col(f"{grain}_repeated_tokens_fraction") * pl.col("tokens") for grain in _SHARES]
    return report.sources.group_by(kind).agg(
        pl.sum(*_COUNTS, "near_repeated_documents", "kept_documents"),
        *(tokens.sum().alias(f"{grain}_tokens") for grain, tokens in zip(_SHARES, weighted, strict=True)),
        (pl.col("exposures") * pl.col("tokens")).sum().alias("exposed_tokens"),
        pl.min("epochs").alias("epochs"),
    )


def _grid(report: Report, kind: str) -> Grid:
    ranked = _by(report, kind).sort(["tokens", kind], descending=[True, False], nulls_last=True)
    rows = collected(ranked.head(LISTED + 1)).to_dicts()
    more = len(rows) > LISTED
    shown = [_cells(report, kind, row) for row in rows[:LISTED]]
    total = collected(_by(report, kind).select(pl.len())).item() if more else len(rows)
    columns = values.columns(
        (kind, kind),
        *((name, name) for name in _COUNTS),
        ("epochs", "epochs", "how often training shows each of its documents"),
        ("near_repeated_documents", "documents with a near copy"),
        *(
            (
                f"{grain}_repeated_tokens_fraction",
                title,
                "share of its tokens in documents (or passages) that repeat",
            )
            for grain, title in zip(_SHARES, ("raw", "exact", "near", "tokens in passages"), strict=True)
        ),
        ("exposures", "mean exposures", "over its tokens"),
        ("kept_documents", "kept", "documents that stay if one a cluster is kept"),
    )
    note = f"The {LISTED} with most tokens, of {number(total)}." if more else ""
    return Grid(f"{kind}s", _KINDS[kind].capitalize(), columns, values.rows(shown), note, tall=True)


def _cells(report: Report, kind: str, row: Row) -> list[Cell]:
    def share(tokens: float | None) -> float | None:
        return tokens / row["tokens"] if row["tokens"] and tokens is not None else None

    looked = report.passages is not None
    return [
        values.name(row[kind]) if row[kind] is not None else values.plain("(none)"),
        values.number(row["documents"]),
        values.number(row["tokens"]),
        values.size(row["bytes"]),
        values.number(row["epochs"]),
        values.number(row["near_repeated_documents"]),
        *(
            values.percent(share(row[f"{grain}_tokens"]) if looked or grain != "passage" else None)
            for grain in _SHARES
        ),
        values.number(share(row["exposed_tokens"])),
        values.number(row["kept_documents"]),
    ]


def _heat_map(report: Report, kind: str) -> list[Plot]:
    # Ranks, not names, are the keys: two long names may be cut alike.
    rows = report.overlap.filter(
        (pl.col("kind") == kind)
        & pl.col("scope").is_in(["pair", "inside"])
        & pl.col("rank").is_between(0, DRAWN - 1)
        & pl.col("other_rank").is_between(0, DRAWN - 1)
    )
    for grain in ("passage", "near"):
        found = collected(rows.filter(pl.col("grain") == grain)).to_dicts()
        names = _names(report, kind)
        drawn = [
            {
                "of": names[row["rank"]],
                "with": names[row["other_rank"]],
                "share": row["tokens_fraction"] or 0,
                "tokens": row["tokens"],
            }
            for row in found
            if row["rank"] in names and row["other_rank"] in names
        ]
        if len(names) > 1 and drawn:
            words = "passages" if grain == "passage" else "near copies"
            note = (
                f"Of the tokens of the {kind} in a row, the share that lies in {words} which the {kind} in"
                " the column has, too; on the diagonal, repeats within it. The stronger the colour, the more."
            )
            title = f"Overlap of {_KINDS[kind]}" + (f": the {DRAWN} largest" if len(names) == DRAWN else "")
            return [
                Plot(f"overlap-{kind}", title, plots.overlap(drawn, list(names.values())), note, wide=True)
            ]
    return []


def _names(report: Report, kind: str) -> dict[int, str]:
    rows = report.overlap.filter((pl.col("kind") == kind) & pl.col("rank").is_between(0, DRAWN - 1))
    ranked = collected(rows.select("rank", "name").unique().sort("rank")).iter_rows()
    return {rank: f"{rank + 1}. {values.name(name).shown}" for rank, name in ranked}
