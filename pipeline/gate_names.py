"""The names a gate may have, with the limits that make sense for each.

Apart from what checks them, so that reading a configuration loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

METRICS = (
    "bytes",
    "candidate_pairs",
    "chained_clusters",
    "clusters",
    "cross_source_clusters",
    "cross_source_passages",
    "cross_source_texts",
    "documents",
    "empty_documents",
    "exact_distinct",
    "exact_distinct_tokens",
    "exact_grouped_documents",
    "exact_groups",
    "exact_largest_group",
    "exact_repeated_tokens_fraction",
    "exact_surplus_documents",
    "exact_surplus_fraction",
    "input_files",
    "input_rows",
    "max_exposures",
    "near_distinct",
    "near_findable_texts",
    "near_grouped_documents",
    "near_groups",
    "near_largest_group",
    "near_repeated_tokens_fraction",
    "near_surplus_documents",
    "near_surplus_fraction",
    "ok_documents",
    "pairs_at_threshold",
    "pairs_compared",
    "pairs_dropped_by_sketch",
    "pairs_looked_at_again",
    "passage_most_occurrences",
    "passage_most_tokens",
    "passage_repeated_documents",
    "passage_repeated_tokens",
    "passage_repeated_tokens_fraction",
    "passage_spans",
    "passage_texts_read_again",
    "passages",
    "predictable_passages",
    "raw_distinct",
    "raw_distinct_bytes",
    "raw_grouped_documents",
    "raw_groups",
    "raw_largest_group",
    "raw_repeated_tokens_fraction",
    "raw_surplus_documents",
    "raw_surplus_fraction",
    "recall",
    "recall_high",
    "recall_low",
    "rejected_files",
    "rejected_fraction",
    "rejected_rows",
    "short_documents",
    "star_edges",
    "text_id_collisions",
    "texts_exposed_by_representative",
    "texts_not_looked_at_again",
    "texts_read_again",
    "tokens",
    "unsettled_texts",
    "verified_pairs",
)
SHORT = {
    "passage_tokens_fraction": "passage_repeated_tokens_fraction",
    "surplus_documents_fraction": "near_surplus_fraction",
}
WORSE = "worse_than_last"
NAMES = (*METRICS, *SHORT, WORSE)

# Shares that each source has of its own.
OF_SOURCES = tuple(f"{grain}_repeated_tokens_fraction" for grain in ("raw", "exact", "near", "passage"))
# What two sources share, by grain.
CROSSING = {
    "cross_source_texts": "exact",
    "cross_source_clusters": "near",
    "cross_source_passages": "passage",
}
# What must not get worse from run to run.
WATCHED = ("near_surplus_fraction", "exact_surplus_fraction", "passage_repeated_tokens_fraction")


def need(name: str, limits: Mapping[str, Any]) -> str | None:
    """What a gate needs to make sense; None if it does.

    Args:
        limits: what is given of max, min, max_increase (at least one), per_source, between; nothing that
            is None or False.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 3)
        return f"the name of a metric, {', '.join(SHORT)} or {WORSE}" + (
            f"; perhaps {' or '.join(near)}" if near else ""
        )
    if name == WORSE:
        return None if limits.keys() == {"max_increase"} else "max_increase and nothing else"
    if "max" in limits and "min" in limits and limits["min"] > limits["max"]:
        return f"min at most max ({limits['max']})"
    return _need_of_part(SHORT.get(name, name), limits)


def _need_of_part(metric: str, limits: Mapping[str, Any]) -> str | None:
    # A part of the corpus: each source, or what two share.
    if "per_source" in limits and metric not in OF_SOURCES:
        return f"per_source only with {', '.join(OF_SOURCES)}"
    if "between" in limits:
        if metric not in CROSSING:
            return f"between only with {', '.join(CROSSING)}"
        if len(set(limits["between"])) != 2:
            return "two different sources in between"
    if "max_increase" in limits:
        if limits.keys() & {"per_source", "between"}:
            return "max_increase without per_source and between"
        if metric in (*CROSSING, "max_exposures"):
            return "max or min: between runs this depends on how sources and mixture are configured"
    return None
