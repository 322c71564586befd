"""Every table a run writes: columns, types, units, order, version.

This is the one place that defines them. Writers are checked against it, the Parquet files carry
it in their metadata, and what `describing` says of them is generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

# Lower end and name of each repeat bin.
BINS = ((1, "1"), (2, "2-5"), (6, "6-20"), (21, "21-100"), (101, "101-1000"), (1001, ">1000"))

_TYPES = {
    "uint64": pa.uint64(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.large_string(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, type, unit (or empty) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table: where it lies in a run, what a row is, how rows are ordered."""

    name: str
    path: str
    row: str
    order: tuple[str, ...]
    columns: tuple[Column, ...]
    version: int = 1

    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema with meaning and unit in each field's metadata."""
        fields = [
            pa.field(c.name, _TYPES[c.type], c.nullable, {"description": c.meaning, "unit": c.unit})
            for c in self.columns
        ]
        facts = {"dupaudit.table": self.name, "dupaudit.schema_version": str(self.version)}
        return pa.schema(fields, metadata={**facts, "dupaudit.order": ",".join(self.order)})


INPUTS = Table(
    "inputs",
    "inputs.parquet",
    "an input file",
    ("file_id",),
    (
        Column("file_id", "uint64", "", "rank of the file's URI among the run's inputs"),
        Column("uri", "string", "", "where the file is"),
        Column("format", "string", "", "how it was read: parquet, jsonl, csv, tsv, arrow or text"),
        Column("size_bytes", "int64", "bytes", "size as stored"),
        Column(
            "fingerprint",
            "string",
            "",
            "XXH3-128 of size, head and tail (64 KiB, or all of a footer); stable if moved",
        ),
        Column(
            "rows", "int64", "rows", "input rows, rejected ones included; null if the file was rejected", True
        ),
    ),
)

DOCUMENTS = Table(
    "documents",
    "documents/part-*.parquet",
    "a document",
    ("doc_id",),
    (
        Column("doc_id", "uint64", "", "file_id << 32 | row: the document within this run"),
        Column("text_id", "uint64", "", "low half of XXH3-128 of the normalised text: stable across runs"),
        Column("uri", "string", "", "the file it came from"),
        Column("row", "int64", "", "row in that file, from 0, rejected rows counted"),
        Column("id", "string", "", "the user's own identifier, if configured", True),
        Column("source", "string", "", "source, from a column or the path, if configured", True),
        Column("licence", "string", "", "licence, if configured", True),
        Column("n_bytes", "int64", "bytes", "length of the text in UTF-8"),
        Column("n_tokens", "int64", "tokens", "length of the text in tokens"),
        Column("status", "string", "", "ok; short: fewer tokens than a shingle; empty: no token, matches nothing"),
        Column("raw_copies", "int64", "documents", "documents with the same bytes, itself included"),
        Column("copies", "int64", "documents", "documents with the same normalised text, itself included"),
        Column("near_copies", "int64", "documents", "documents in its near cluster, itself included"),
        Column("cluster_id", "uint64", "", "its near cluster; null if it is alone", True),
        Column("representative", "uint64", "", "doc_id of the first document of its cluster; its own if alone"),
        Column("jaccard_to_representative", "double", "0 to 1", "exact similarity to the representative; null if alone", True),
        Column("chained", "bool", "", "in the cluster by a chain only: below the threshold to the representative"),
        Column("repeated_tokens", "int64", "tokens", "its tokens that lie in a repeated passage, each counted once; null without the passage grain", True),
        Column("repeated_fraction", "double", "0 to 1", "the same as a share of its tokens; 0 if it has none", True),
        Column("passage_max_occurrences", "int64", "places", "how often the most frequent passage in it occurs in the corpus; 1 if none is repeated", True),
        Column("exposures", "double", "exposures", "how often training shows this text: epochs of all documents in its near cluster, near copies for what they are worth"),
        Column("exposures_low", "double", "exposures", "the same with the lowest published worth of near copies"),
        Column("exposures_high", "double", "exposures", "the same with the highest"),
        Column("exposures_by_representative", "bool", "", "its cluster has more than 2,000 distinct texts: near copies are judged by their similarity to the representative"),
        Column("risk_tier", "string", "", "baseline, low, elevated, high or very high: by exposures, rounded down"),
        Column("keep", "bool", "", "the document that stays if one a cluster is kept"),
    ),
    version=3,
)  # fmt: skip

PAIRS = Table(
    "pairs",
    "pairs/part-*.parquet",
    "a verified pair of distinct texts, each named by its first document",
    ("doc_a", "doc_b"),
    (
        Column("doc_a", "uint64", "", "the document with the smaller doc_id"),
        Column("doc_b", "uint64", "", "the other"),
        Column("jaccard", "double", "0 to 1", "shared shingles over all shingles of the two, exact"),
        Column("containment_a", "double", "0 to 1", "share of a's shingles that b has"),
        Column("containment_b", "double", "0 to 1", "share of b's shingles that a has"),
        Column("shared_shingles", "int64", "shingles", "distinct shingles both have"),
        Column("source_a", "string", "", "source of a", True),
        Column("source_b", "string", "", "source of b", True),
    ),
)

CLUSTERS = Table(
    "clusters",
    "clusters/part-*.parquet",
    "a near cluster of two or more documents",
    ("cluster_id",),
    (
        Column("cluster_id", "uint64", "", "smallest text_id in the cluster"),
        Column("documents", "int64", "documents", "members, exact copies counted"),
        Column("distinct_texts", "int64", "texts", "members that differ after normalisation; 1: exact copies only"),
        Column("sources", "int64", "sources", "distinct sources among the members; 0 if none is known"),
        Column("tokens", "int64", "tokens", "tokens of all members together"),
        Column("min_jaccard", "double", "0 to 1", "smallest exact similarity of a text to the representative"),
        Column("mean_jaccard", "double", "0 to 1", "its mean over the distinct texts; the representative's own 1 included"),
        Column("chained", "int64", "texts", "distinct texts below the threshold to the representative"),
        Column("representative", "uint64", "", "doc_id of the first document of the cluster"),
        Column("least_similar", "uint64", "", "doc_id of the text least like the representative; null if all are exact copies", True),
        Column("sample", "string", "", "the representative's first 200 characters"),
    ),
    version=2,
)  # fmt: skip

PASSAGES = Table(
    "passages",
    "passages/part-*.parquet",
    "a distinct repeated passage",
    ("passage_id",),
    (
        Column("passage_id", "uint64", "", "low half of XXH3-128 of the passage's normalised text: stable across runs"),
        Column("tokens", "int64", "tokens", "its length"),
        Column("occurrences", "int64", "places", "places in the corpus where all of it stands, copies of documents counted"),
        Column("documents", "int64", "documents", "documents that hold it, copies counted"),
        Column("texts", "int64", "texts", "distinct texts that hold it"),
        Column("sources", "int64", "sources", "distinct sources of those documents; 0 if none is known"),
        Column("predictable", "bool", "", "one token, a short cycle or a counter: says nothing about memorization"),
        Column("exposures", "double", "exposures", "how often training shows it: epochs of the documents of all its places"),
        Column("risk_tier", "string", "", "baseline, low, elevated, high or very high: by exposures, rounded down; null if predictable", True),
        Column("evidence_low", "double", "0 to 1", "lowest published share of texts seen so often that a model of the configured size reproduces", True),
        Column("evidence_high", "double", "0 to 1", "highest published share", True),
        Column("evidence_reason", "string", "", "why there is no such interval; null if there is one", True),
        Column("doc_id", "uint64", "", "an example: the first document that holds it"),
        Column("byte_start", "int64", "bytes", "where it first stands there, in the original text"),
        Column("byte_end", "int64", "bytes", "the byte after it"),
        Column("text", "string", "", "its first 500 characters as they stand there"),
    ),
    version=2,
)  # fmt: skip

SPANS = Table(
    "spans",
    "spans/part-*.parquet",
    "a place of a repeated passage; of documents with the same normalised text only in the first",
    ("doc_id", "token_start"),
    (
        Column("doc_id", "uint64", "", "the first document with this text"),
        Column("text_id", "uint64", "", "that text: leads to its copies in documents"),
        Column("copies", "int64", "documents", "documents with this text; the sum over a passage's rows is its occurrences"),
        Column("byte_start", "int64", "bytes", "first byte of the passage in the original text, as UTF-8"),
        Column("byte_end", "int64", "bytes", "the byte after it"),
        Column("token_start", "int64", "tokens", "number of its first token in the document, from 0"),
        Column("tokens", "int64", "tokens", "its length"),
        Column("passage_id", "uint64", "", "the passage"),
        Column("occurrences", "int64", "places", "how often it stands in the corpus"),
    ),
)  # fmt: skip

REJECTS = Table(
    "rejects",
    "rejects/part-*.parquet",
    "an input row (or file) that could not be audited",
    ("uri", "row"),
    (
        Column("uri", "string", "", "the file"),
        Column("row", "int64", "", "row in that file, from 0; null if the whole file was rejected", True),
        Column("reason", "string", "", "why, in one word"),
        Column("detail", "string", "", "what was found"),
    ),
)

HISTOGRAM = Table(
    "histogram",
    "summary/histogram.parquet",
    "a grain and a repeat bin",
    ("grain", "copies_min"),
    (
        Column("grain", "string", "", "raw: same bytes; exact: same normalised text; near: same near cluster; passage"),
        Column("bin", "string", "", "how often the text occurs: 1, 2-5, 6-20, 21-100, 101-1000, >1000"),
        Column("copies_min", "int64", "documents", "lower end of the bin"),
        Column("documents", "int64", "documents", "documents whose text (passage: most frequent passage) occurs that often"),
        Column("groups", "int64", "groups", "groups they form; null at the passage grain", True),
        Column("surplus_documents", "int64", "documents", "documents beyond the first of each group; null at the passage grain", True),
        Column("passages", "int64", "passages", "distinct passages that occur that often; null at the other grains", True),
        Column("tokens", "int64", "tokens", "tokens of those documents; passage: tokens whose most frequent passage occurs that often"),
        Column("bytes", "int64", "bytes", "the same in bytes; passage: copies of a text counted with the bytes of the first"),
    ),
    version=2,
)  # fmt: skip

SOURCES = Table(
    "sources",
    "summary/sources.parquet",
    "a source and a licence",
    ("source", "licence"),
    (
        Column("source", "string", "", "the source", True),
        Column("licence", "string", "", "the licence", True),
        Column("documents", "int64", "documents", "its documents"),
        Column("distinct_texts", "int64", "texts", "distinct texts among them; empty ones not counted"),
        Column("tokens", "int64", "tokens", "its tokens"),
        Column("bytes", "int64", "bytes", "its bytes"),
        Column("epochs", "double", "epochs", "how often training shows each of its documents, by the configured mixture"),
        Column("exposures", "double", "exposures", "exposures of its documents: mean over its tokens; null without tokens", True),
        Column("raw_repeated_documents", "int64", "documents", "documents with raw_copies >= 2 in the whole corpus"),
        Column("exact_repeated_documents", "int64", "documents", "documents with copies >= 2"),
        Column("near_repeated_documents", "int64", "documents", "documents with near_copies >= 2"),
        Column("raw_repeated_tokens_fraction", "double", "0 to 1", "share of its tokens in documents with raw_copies >= 2"),
        Column("exact_repeated_tokens_fraction", "double", "0 to 1", "share of its tokens in documents with copies >= 2"),
        Column("near_repeated_tokens_fraction", "double", "0 to 1", "share of its tokens in documents with near_copies >= 2"),
        Column("passage_repeated_documents", "int64", "documents", "documents with a repeated passage; null without the passage grain", True),
        Column("passage_repeated_tokens_fraction", "double", "0 to 1", "share of its tokens that lie in a repeated passage", True),
        Column("kept_documents", "int64", "documents", "documents that stay if one a cluster is kept"),
    ),
    version=3,
)  # fmt: skip

SOURCE_OVERLAP = Table(
    "source_overlap",
    "summary/source_overlap.parquet",
    "what a source (or licence) shares with itself, with another, with all others; no rows if neither is configured",
    ("kind", "grain", "scope", "rank", "other_rank"),
    (
        Column("kind", "string", "", "source or licence"),
        Column("grain", "string", "", "exact: same normalised text; near: same near cluster; passage"),
        Column("scope", "string", "", "inside: twice or more in it; pair: in it and in other; across: in it and any other; anywhere: twice or more in the corpus"),
        Column("rank", "int64", "", "its rank by tokens, from 0; -1: documents without one; 200: all beyond the 200 largest together, across counted by name"),
        Column("name", "string", "", "the source or licence; null for ranks -1 and 200", True),
        Column("other_rank", "int64", "", "rank of the other (pair) or of itself (inside); null for across and anywhere", True),
        Column("other", "string", "", "name of the other, likewise", True),
        Column("groups", "int64", "groups", "distinct texts, near clusters or passages of that scope"),
        Column("documents", "int64", "documents", "its documents in those groups; passage: places"),
        Column("tokens", "int64", "tokens", "tokens of those documents; passage: tokens at which such a run of min_tokens begins"),
        Column("tokens_fraction", "double", "0 to 1", "the same as a share of its tokens; null without tokens", True),
    ),
)  # fmt: skip

RISK = Table(
    "risk",
    "summary/risk.parquet",
    "a grain and a bin of exposures",
    ("grain", "exposures_min"),
    (
        Column("grain", "string", "", "document; or passage, predictable ones left out"),
        Column("bin", "string", "", "exposures, rounded down: 1 (or less), 2-5, 6-20, 21-100, 101-1000, >1000"),
        Column("exposures_min", "int64", "exposures", "lower end of the bin"),
        Column("risk_tier", "string", "", "baseline, low, elevated, high or very high"),
        Column("documents", "int64", "documents", "documents with so many exposures; null at the passage grain", True),
        Column("passages", "int64", "passages", "distinct passages; null at the document grain", True),
        Column("tokens", "int64", "tokens", "tokens of those documents, or of those passages, each counted once"),
        Column("evidence_low", "double", "0 to 1", "lowest published share of texts seen so often that a model of the configured size reproduces", True),
        Column("evidence_high", "double", "0 to 1", "highest published share", True),
        Column("evidence_reason", "string", "", "why there is no such interval; null if there is one", True),
    ),
)  # fmt: skip

SIMILARITY = Table(
    "similarity",
    "summary/similarity.parquet",
    "a hundredth of similarity, from the floor up",
    ("jaccard_min",),
    (
        Column("jaccard_min", "double", "0 to 1", "lower end, in the bin"),
        Column("jaccard_max", "double", "0 to 1", "upper end, not in the bin; the last bin holds 1, too"),
        Column("pairs", "int64", "pairs", "verified pairs of that similarity"),
        Column("detection", "double", "0 to 1", "probability that a pair at the lower end shares a band and so can be found"),
    ),
)  # fmt: skip

PLACES = Table(
    "places",
    "summary/places.parquet",
    "one of the first five places of one of the passages that cover most tokens",
    ("passage_id", "doc_id", "token_start"),
    (
        Column("passage_id", "uint64", "", "the passage"),
        Column("doc_id", "uint64", "", "the first document with this text"),
        Column("uri", "string", "", "the file it came from"),
        Column("row", "int64", "", "row in that file, from 0"),
        Column("copies", "int64", "documents", "documents with this text"),
        Column("token_start", "int64", "tokens", "number of its first token in the document, from 0"),
        Column("byte_start", "int64", "bytes", "first byte of the passage in the original text, as UTF-8"),
        Column("byte_end", "int64", "bytes", "the byte after it"),
    ),
)  # fmt: skip

EXAMPLES = Table(
    "examples",
    "summary/examples.parquet",
    "a text of one of the largest or loosest clusters: its representative, or the text least like it",
    ("cluster_id", "doc_id"),
    (
        Column("cluster_id", "uint64", "", "the cluster"),
        Column("doc_id", "uint64", "", "the document"),
        Column("uri", "string", "", "the file it came from"),
        Column("row", "int64", "", "row in that file, from 0"),
        Column("id", "string", "", "the user's own identifier, if configured", True),
        Column("source", "string", "", "its source, if configured", True),
        Column("jaccard", "double", "0 to 1", "similarity to the representative; its own 1 included"),
        Column("n_bytes", "int64", "bytes", "length of the whole text"),
        Column("text", "string", "", "its first 2,000 characters; bytes that are not UTF-8 replaced"),
    ),
)  # fmt: skip

METRICS = Table(
    "metrics",
    "summary/metrics.parquet",
    "a headline figure",
    ("name",),
    (
        Column("name", "string", "", "its name"),
        Column("value", "double", "", "its value; null if it is not defined for this run", True),
        Column("unit", "string", "", "its unit"),
    ),
)

NEW_REPEATS = Table(
    "new_repeats",
    "summary/new_repeats.parquet",
    "a document of a file that the earlier run did not have, if it repeats a document of one that it had; no rows without an earlier run",
    ("doc_id",),
    (
        Column("doc_id", "uint64", "", "the new document"),
        Column("uri", "string", "", "the file it came from"),
        Column("row", "int64", "", "row in that file, from 0"),
        Column("n_tokens", "int64", "tokens", "its length"),
        Column("kind", "string", "", "the first that holds. exact: an earlier document has its normalised text; near: a verified pair; cluster: an earlier document is in its near cluster, by way of new ones; passage: they share one that is not predictable"),
        Column("earlier_doc_id", "uint64", "", "an earlier document it repeats: near, the most similar; passage, one with its longest; of several the first"),
        Column("earlier_uri", "string", "", "the file of that document"),
        Column("earlier_row", "int64", "", "row in that file, from 0"),
        Column("jaccard", "double", "0 to 1", "exact similarity of the two; null for cluster and passage", True),
        Column("earlier_copies", "int64", "documents", "earlier documents with its normalised text; 0 unless exact"),
        Column("repeated_tokens", "int64", "tokens", "its tokens that earlier documents hold: exact, all; else those in shared passages, predictable ones left out, each counted once; null if passages were not looked for", True),
        Column("passage_tokens", "int64", "tokens", "length of its longest passage that an earlier document holds; null if exact or none", True),
        Column("passage_id", "uint64", "", "that passage", True),
    ),
)  # fmt: skip

TABLES = (
    INPUTS,
    DOCUMENTS,
    PAIRS,
    CLUSTERS,
    PASSAGES,
    SPANS,
    REJECTS,
    HISTOGRAM,
    SIMILARITY,
    SOURCES,
    SOURCE_OVERLAP,
    RISK,
    EXAMPLES,
    PLACES,
    NEW_REPEATS,
    METRICS,
)
