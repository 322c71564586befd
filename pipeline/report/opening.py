"""The page's first numbers with how sure they are."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.figures import count, number, percent, size
from pipeline.report.model import Report
from pipeline.report.values import Fact, FactGroup, Section, exact
from pipeline.report.words import verdict


def verdict_section(report: Report) -> Section:
    """The verdict in words."""
    return Section("verdict", "Verdict", verdict(report))


def headline_section(report: Report) -> Section:
    """Headline numbers."""
    found = (*_corpus(report), *_repeated(report), *_exposed(report))
    groups = (
        FactGroup("What was found", found),
        FactGroup("How sure that is, and what is not in it", (*_recall(report), *_left_out(report))),
    )
    return Section("numbers", "Headline numbers", facts=groups)


def _fact(
    report: Report, metric: str, label: str, shown: Callable[[float | None], str], note: str = ""
) -> Fact:
    value = report.metric(metric)
    return Fact(metric, label, shown(value), exact(value), note)


def _corpus(report: Report) -> tuple[Fact, ...]:
    tokens, files = number(report.metric("tokens")), number(report.manifest.get("files"))
    return (
        _fact(report, "documents", "documents", number, f"{tokens} tokens"),
        _fact(report, "bytes", "text", size, f"in {files} files"),
    )


def _repeated(report: Report) -> tuple[Fact, ...]:
    near, groups = number(report.metric("near_surplus_documents")), number(report.metric("near_groups"))
    same, texts = number(report.metric("exact_surplus_documents")), number(report.metric("exact_distinct"))
    beyond = f"{near} documents beyond the first of {groups} clusters"
    distinct = f"{same} documents; {texts} distinct texts"
    with_copy = "documents with a copy or near copy, the first of each included"
    looked = "each token counted once" if report.passages is not None else "passages were not looked for"
    named = (
        ("near_surplus_fraction", "surplus, near copies included", beyond),
        ("exact_surplus_fraction", "surplus, same words only", distinct),
        ("near_repeated_tokens_fraction", "of tokens in repeated documents", with_copy),
        ("passage_repeated_tokens_fraction", "of tokens in repeated passages", looked),
    )
    return tuple(_fact(report, metric, label, percent, note) for metric, label, note in named)


def _exposed(report: Report) -> tuple[Fact, ...]:
    judged = report.metric("texts_exposed_by_representative")
    note = "times training shows it, near copies by what they are worth"
    if judged:
        note = f"{number(judged)} texts of very large clusters judged by their representative"
    most = _fact(report, "max_exposures", "exposures of the most exposed text", number, note)
    if report.metric("cross_source_clusters") is None:
        return (most,)
    across = "clusters across sources"
    return most, _fact(report, "cross_source_clusters", across, number, "of more than one source")


def _recall(report: Report) -> tuple[Fact, ...]:
    low, high = percent(report.metric("recall_low")), percent(report.metric("recall_high"))
    known = report.metric("recall") is not None
    interval = f"95% interval {low} to {high}" if known else "nothing near was found"
    unsettled = "texts whose search ended early"
    return (
        _fact(report, "recall", "recall of the near grain, estimated", percent, interval),
        _fact(report, "unsettled_texts", unsettled, number, "counted as missed in the interval"),
    )


def _left_out(report: Report) -> tuple[Fact, ...]:
    rows, files = number(report.metric("input_rows")), count(report.metric("rejected_files"), "whole file")
    short = "fewer tokens than a shingle; compared as a whole"
    return (
        _fact(report, "rejected_rows", "rejected rows", number, f"of {rows}; and {files}"),
        _fact(report, "short_documents", "short documents", number, short),
        _fact(report, "empty_documents", "empty documents", number, "no token; they match nothing"),
    )
