"""Clusters, with their representative and the text least like it side by side."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.figures import count, number, similarity, size
from pipeline.report import shown, values
from pipeline.report.differing import Part, differing
from pipeline.report.model import Report, Row
from pipeline.report.values import Comparison, Grid, Section, Side

COMPARED = 10
_OPEN = 3
_SAMPLE_CHARACTERS = 100


def clusters_section(report: Report) -> Section:
    """The largest clusters."""
    if not report.clusters:
        return Section("clusters", "Largest clusters", ("No two documents are copies or near copies.",))
    words = (
        "The most repeated texts. Side by side: the first document of the cluster, its representative, and"
        " the text least like it; words that the other lacks are marked."
    )
    compared = _compared(report, report.clusters, "cluster")
    listed = _grid("clusters", "The largest, by documents", report.clusters)
    return Section("clusters", "Largest clusters", (words,), comparisons=compared, grids=(listed,))


def loose_section(report: Report) -> Section:
    """Clusters held together by chains."""
    title, threshold = "Loose clusters", report.config["near"]["threshold"]
    chained = report.metric("chained_clusters")
    if not report.loose:
        words = (
            f"Every text of every cluster has a similarity of {threshold:g} or more to its representative."
        )
        return Section("loose", title, (words if report.clusters else "There are no clusters.",))
    first = (
        f"In {count(chained, 'cluster')} some texts are in by a chain only: each is near to a next one, but"
        f" under {threshold:g} to the representative. Look at these before you delete anything."
    )
    compared = _compared(report, report.loose, "loose")
    return Section(
        "loose",
        title,
        (first,),
        comparisons=compared,
        grids=(_grid("loose", "The loosest first", report.loose),),
    )


def _grid(key: str, title: str, rows: Sequence[Row]) -> Grid:
    columns = values.columns(
        ("sample", "begins"),
        ("documents", "documents"),
        ("distinct_texts", "texts", "distinct after normalisation"),
        ("sources", "sources"),
        ("tokens", "tokens"),
        ("min_jaccard", "least similar", "smallest similarity to the representative"),
        ("mean_jaccard", "mean"),
        ("chained", "chained", "texts below the threshold to the representative"),
        ("cluster_id", "cluster_id"),
    )
    cells = [
        [
            values.name(" ".join(row["sample"].split()), _SAMPLE_CHARACTERS),
            *(values.number(row[name]) for name in ("documents", "distinct_texts", "sources", "tokens")),
            *(values.similarity(row[name]) for name in ("min_jaccard", "mean_jaccard")),
            values.number(row["chained"]),
            values.plain(str(row["cluster_id"])),
        ]
        for row in rows
    ]
    return Grid(key, title, columns, values.rows(cells), tall=True)


def _compared(report: Report, rows: Sequence[Row], key: str) -> tuple[Comparison, ...]:
    found = []
    for i, row in enumerate(rows[:COMPARED]):
        texts = report.examples.get(row["cluster_id"], [])
        if texts:
            found.append(_comparison(f"{key}-{i + 1}", row, texts, i < _OPEN))
    return tuple(found)


def _comparison(key: str, row: Row, texts: Sequence[Row], is_open: bool) -> Comparison:
    facts = ", ".join(
        (
            count(row["documents"], "document"),
            count(row["distinct_texts"], "distinct text"),
            *((count(row["sources"], "source"),) if row["sources"] else ()),
            count(row["tokens"], "token"),
        )
    )
    title = count(row["documents"], "document") + ": " + shown.name(" ".join(row["sample"].split()))
    representative = next((text for text in texts if text["doc_id"] == row["representative"]), texts[0])
    others = [text for text in texts if text is not representative]
    if not others:
        whole = (Part(shown.text(representative["text"]), False),)
        sides: tuple[Side, ...] = (Side("representative", _place(representative), whole),)
        return Comparison(key, title, facts, sides, "All have the same words.", is_open)
    other = min(others, key=lambda text: (text["jaccard"], text["doc_id"]))
    cut = [_is_cut(text) for text in (representative, other)]
    found = differing(representative["text"], other["text"], *cut)
    note = f"Similarity {similarity(other['jaccard'])}."
    if found.same:
        note += " No word differs in what is shown" + ("; the difference comes later." if any(cut) else ".")
    sides = (
        Side("representative", _place(representative), _visible(found.left, cut[0])),
        Side("least similar", _place(other), _visible(found.right, cut[1])),
    )
    return Comparison(key, title, facts, sides, note, is_open)


def _is_cut(text: Row) -> bool:
    return bool(len(text["text"].encode("utf-8", "surrogatepass")) < text["n_bytes"])


def _visible(parts: Sequence[Part], cut: bool) -> tuple[Part, ...]:
    made = tuple(Part(shown.visible(part.text), part.differs) for part in parts)
    return (*made, Part(" …", False)) if cut else made


def _place(row: Row) -> str:
    parts = [f"{shown.path(row['uri'])}, row {number(row['row'])}"]
    parts += [f"id {shown.name(row['id'])}"] if row["id"] is not None else []
    parts += [f"source {shown.name(row['source'])}"] if row["source"] is not None else []
    return " · ".join((*parts, f"doc_id {row['doc_id']}", size(row["n_bytes"])))
