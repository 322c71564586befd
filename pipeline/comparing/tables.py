"""The tables a comparison of two runs writes."""

from __future__ import annotations

from pipeline.schemas import Column, Table

_NEUTRAL = "better, worse, same, or neutral: neither way is better, one of the runs has no such figure, or"
_VERDICT = f"{_NEUTRAL} a count did not move the same way as its share of the corpus"
_VERDICT_OF_SOURCE = f"{_NEUTRAL} a count did not move the same way as its share of the source's documents"
_AS_ABOVE = "as of headline figures"

_SAME = "two are the same cluster where each is the one that the other shares most texts with"
_OTHER = (
    "the cluster of the other run that shares most texts with it: of a new one, what it split from; of one"
    " that is gone, what it joined; null: none"
)

METRIC_CHANGES = Table(
    "metric_changes",
    "compare/<run>/metrics.parquet",
    "a headline figure that can be compared",
    ("name",),
    (
        Column("name", "string", "", "its name, as in metrics"),
        Column("unit", "string", "", "its unit"),
        Column("before", "double", "", "its value in the first run; null if it is not defined there", True),
        Column("after", "double", "", "its value in the second run", True),
        Column("change", "double", "", "after less before; null if one of them is", True),
        Column("verdict", "string", "", _VERDICT),
    ),
)

SOURCE_CHANGES = Table(
    "source_changes",
    "compare/<run>/sources.parquet",
    "a figure of a source and licence that is not the same in both runs",
    ("source", "licence", "figure"),
    (
        Column("source", "string", "", "the source", True),
        Column("licence", "string", "", "the licence", True),
        Column("figure", "string", "", "its name, a column of sources"),
        Column("before", "double", "", "its value in the first run; null if it has none there", True),
        Column("after", "double", "", "its value in the second run", True),
        Column("change", "double", "", "after less before; null if one of them is", True),
        Column("verdict", "string", "", _VERDICT_OF_SOURCE),
    ),
)

OVERLAP_CHANGES = Table(
    "overlap_changes",
    "compare/<run>/source_overlap.parquet",
    "a figure of what a source (or licence) shares that is not the same in both runs; those beyond the 200"
    " largest are left out",
    ("kind", "grain", "scope", "name", "other", "figure"),
    (
        Column("kind", "string", "", "source or licence"),
        Column("grain", "string", "", "exact, near or passage"),
        Column("scope", "string", "", "inside, pair, across or anywhere: see source_overlap"),
        Column("name", "string", "", "the source or licence; null: documents without one", True),
        Column("other", "string", "", "the other; null also for across and anywhere", True),
        Column("figure", "string", "", "its name, a column of source_overlap"),
        Column("before", "double", "", "its value in the first run; null if it has none there", True),
        Column("after", "double", "", "its value in the second run", True),
        Column("change", "double", "", "after less before; null if one of them is", True),
        Column("verdict", "string", "", _AS_ABOVE),
    ),
)

HISTOGRAM_CHANGES = Table(
    "histogram_changes",
    "compare/<run>/histogram.parquet",
    "a figure of a grain and a bin, of repeats or of exposures",
    ("grain", "copies_min", "figure"),
    (
        Column("grain", "string", "", "one of histogram; or of risk: document exposures, passage exposures"),
        Column("bin", "string", "", "how often the text occurs, or how many exposures it has"),
        Column("copies_min", "int64", "documents", "lower end of the bin"),
        Column("figure", "string", "", "its name, a column of histogram or risk"),
        Column("before", "double", "", "its value in the first run", True),
        Column("after", "double", "", "its value in the second run", True),
        Column("change", "double", "", "after less before", True),
        Column("verdict", "string", "", _AS_ABOVE),
    ),
)

SIMILARITY_CHANGES = Table(
    "similarity_changes",
    "compare/<run>/similarity.parquet",
    "a hundredth of similarity, from the floor up",
    ("jaccard_min",),
    (
        Column("jaccard_min", "double", "0 to 1", "lower end, in the bin"),
        Column("jaccard_max", "double", "0 to 1", "upper end, not in the bin; the last bin holds 1, too"),
        Column("before", "int64", "pairs", "verified pairs of that similarity in the first run"),
        Column("after", "int64", "pairs", "the same in the second run"),
        Column("change", "int64", "pairs", "after less before"),
    ),
)

CLUSTER_CHANGES = Table(
    "cluster_changes",
    "compare/<run>/clusters.parquet",
    "a near cluster that is large in one of the runs and has another number of documents in the other",
    ("cluster_id", "what"),
    (
        Column("cluster_id", "uint64", "", "its id in the second run; of one that is gone, in the first"),
        Column("what", "string", "", f"new, grown, shrunk or gone; {_SAME}"),
        Column("other_id", "uint64", "", _OTHER, True),
        Column("documents_before", "int64", "documents", "its documents in the first run; 0 if new"),
        Column("documents_after", "int64", "documents", "its documents in the second run; 0 if gone"),
        Column("change", "int64", "documents", "after less before"),
        Column("sample", "string", "", "how its representative begins"),
    ),
)

PASSAGE_CHANGES = Table(
    "passage_changes",
    "compare/<run>/passages.parquet",
    "a passage that is frequent in one of the runs and occurs another number of times in the other",
    ("passage_id",),
    (
        Column("passage_id", "uint64", "", "the passage; a longer or shorter run of words is another"),
        Column("what", "string", "", "new, grown, shrunk or gone"),
        Column("occurrences_before", "int64", "places", "places in the first run; 0 if new"),
        Column("occurrences_after", "int64", "places", "places in the second run; 0 if gone"),
        Column("change", "int64", "places", "after less before"),
        Column("tokens", "int64", "tokens", "its length"),
        Column("predictable", "bool", "", "one token, a short cycle or a counter"),
        Column("text", "string", "", "its first 200 characters"),
    ),
)

COMPARISONS = (
    METRIC_CHANGES,
    SOURCE_CHANGES,
    OVERLAP_CHANGES,
    HISTOGRAM_CHANGES,
    SIMILARITY_CHANGES,
    CLUSTER_CHANGES,
    PASSAGE_CHANGES,
)
