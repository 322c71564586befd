"""The verdict of a run in plain sentences."""

from __future__ import annotations

from pipeline.figures import count, number, percent, size
from pipeline.report.model import Report


def headline(report: Report) -> str:
    """The finding in one sentence."""
    documents = report.metric("documents")
    if not documents:
        return "There was no document to audit."
    surplus, share = report.metric("near_surplus_documents"), report.metric("near_surplus_fraction")
    within = report.metric("passage_repeated_tokens_fraction")
    if surplus:
        return f"{percent(share)} of the documents repeat an earlier one, exactly or nearly."
    if within:
        return f"No document repeats another, but {percent(within)} of the tokens lie in repeated passages."
    return "Nothing repeats."


def verdict(report: Report) -> tuple[str, ...]:
    """What was found, what it means for training, how sure it is."""
    if not report.metric("documents"):
        return (_unaudited(report) or "The inputs hold no rows.",)
    parts = (_documents(report), _passages(report), _exposed(report), _across(report), _sure(report))
    notes = (f"Note: {note}" for note in report.manifest.get("notes", ()))
    return tuple(part for part in (*parts, _unaudited(report), *notes) if part)


def _documents(report: Report) -> str:
    documents, surplus = report.metric("documents"), report.metric("near_surplus_documents")
    volume = f"{size(report.metric('bytes'))}, {count(report.metric('tokens'), 'token')}"
    whole = f"{count(documents, 'document')} ({volume})"
    if not surplus:
        return f"The corpus is {whole}." + (" Each is the only one of its kind." if documents != 1 else "")
    exact = report.metric("exact_surplus_documents") or 0
    largest = count(report.metric("near_largest_group"), "document")
    return (
        f"Of {whole}, {number(surplus)} {'is' if surplus == 1 else 'are'} surplus, that is, not the first of"
        f" a cluster: {number(exact)} with exactly the words of an earlier one, {number(surplus - exact)}"
        f" with nearly those. The largest cluster has {largest}."
    )


def _passages(report: Report) -> str:
    if report.passages is None:
        return "Repeated passages were not looked for."
    least = report.config["passages"]["min_tokens"]
    if not report.metric("passages"):
        return f"No run of {least} or more tokens occurs twice."
    return (
        f"{percent(report.metric('passage_repeated_tokens_fraction'))} of all tokens lie in a passage of"
        f" {least} or more tokens that occurs at least twice. There are"
        f" {count(report.metric('passages'), 'such passage')}; the most frequent occurs"
        f" {number(report.metric('passage_most_occurrences'))} times."
    )


def _exposed(report: Report) -> str:
    most = report.metric("max_exposures")
    if most is None:
        return ""
    risky = [row for row in report.risk if row["grain"] == "document" and row["exposures_min"] > 20]
    documents = sum(row["documents"] or 0 for row in risky)
    tail = (
        f" {count(documents, 'document')} will be seen more than 20 times (tier high or very high)."
        if documents
        else " No document will be seen more than 20 times."
    )
    times = "once" if most == 1 else f"about {number(most)} times"
    return f"Training on this data shows the most exposed text {times}.{tail}"


def _across(report: Report) -> str:
    clusters = report.metric("cross_source_clusters")
    if clusters is None:
        return ""
    if not clusters:
        return "No cluster holds documents of more than one source."
    return (
        f"{count(clusters, 'cluster holds', 'clusters hold')} documents of more than one source; between the"
        f" parts of a train/test split that would be a leak (see sources)."
    )


def _sure(report: Report) -> str:
    if report.metric("recall") is None:
        return "Nothing near was found, so the recall of the near grain cannot be estimated."
    low, high = percent(report.metric("recall_low")), percent(report.metric("recall_high"))
    return (
        f"Every reported pair was compared exactly. Of the texts that have a near"
        f" partner, an estimated {percent(report.metric('recall'))} were found (95% interval {low} to"
        f" {high})."
    )


def _unaudited(report: Report) -> str:
    rows, files = report.metric("rejected_rows"), report.metric("rejected_files")
    if not rows and not files:
        return ""
    parts = [f"{number(rows)} of {count(report.metric('input_rows'), 'row')}"] if rows else []
    parts += [count(files, "whole file")] if files else []
    return f"Not audited: {' and '.join(parts)} (see run facts for the reasons)."
