"""The documents table: what the scan knew of each row, joined with what the other stages found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.artifacts import KeyRange, frame, read_output, write_output
from pipeline.label_hashes import label_hashes
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped
from pipeline.mixture import MILLION, Epochs
from pipeline.recall import Findable, findable
from pipeline.risk import TIERS, bin_of
from pipeline.schemas import BINS, DOCUMENTS
from pipeline.stages.clusters import LABELS, MEMBERS, SIMILARITIES, TOTALS
from pipeline.stages.exposures import EXPOSED
from pipeline.stages.pairs import BEST
from pipeline.stages.parts import Slice
from pipeline.stages.places import Places
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import STATUS, Segment
from pipeline.stages.spans import REPEATING
from pipeline.stages.texts import COPIES

FOUND = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("copies", pa.int64()),
        ("raw_copies", pa.int64()),
        ("near_copies", pa.int64()),
        ("cluster_id", pa.uint64()),
        ("representative", pa.uint64()),
        ("jaccard_to_representative", pa.float64()),
        ("repeated_tokens", pa.int64()),
        ("passage_max_occurrences", pa.int64()),
        *((name, pa.float64()) for name in ("exposures", "exposures_low", "exposures_high")),
        ("exposures_by_representative", pa.bool_()),
    ]
)
_EXPOSURES = ("exposures", "exposures_low", "exposures_high")
GRAINS = {"raw": "raw_copies", "exact": "copies", "near": "near_copies"}
BY_COPIES = pa.schema(
    [
        ("copies", pa.int64()),
        *((n, pa.int64()) for n in ("documents", "tokens", "bytes")),
        ("grain", pa.large_string()),
    ]
)
BY_SOURCE = pa.schema(
    [
        ("source", pa.large_string()),
        ("licence", pa.large_string()),
        ("source_hash", pa.uint64()),
        ("licence_hash", pa.uint64()),
        *((name, pa.int64()) for name in ("documents", "tokens", "bytes", "kept")),
        *(
            (f"{grain}_{counted}", pa.int64())
            for grain in (*GRAINS, "passage")
            for counted in ("documents", "tokens")
        ),
        *((name, pa.int64()) for name in STATUS),
        ("exposed_tokens", pa.float64()),  # tokens of each document times its exposures
    ]
)


@dataclass(frozen=True)
class Attached:
    """One key range of texts: what was found out about documents that repeat, by doc_id; sizes of
    clusters of exact copies alone and similarities to representatives, by cluster_id; and how
    findable the texts with a near partner were."""

    found: str
    totals: str
    similarities: str
    exact_clusters: int
    recall: Findable
    documents: int


@dataclass(frozen=True)
class Rules:
    """What of a configuration decides the documents table.

    threshold: of the near grain. passages: whether they were looked for. epochs: how often training
    shows each source.
    """

    threshold: float
    passages: bool
    epochs: Epochs


@dataclass(frozen=True)
class DocumentsResult:
    """One part of the documents table and its share of the summaries: documents and tokens by bin of
    exposures, and the most exposures (0 without documents)."""

    labels: str
    by_copies: str
    by_source: str
    rows: int
    exposed: tuple[int, ...]
    exposed_tokens: tuple[int, ...]
    most_exposures: float


def attach(
    keys: KeyRange,
    copies: str,
    path: str,
    *,
    members: str,
    exposed: Sequence[str],
    best: Sequence[str],
    repeating: Sequence[str],
    banding: tuple[int, int],
) -> Attached:
    """Bring together, for the texts of a key range, copies, near clusters and passages, by document."""
    exposures = frame(mapped_ranges(exposed, "text_id", keys, EXPOSED))
    member = frame(mapped_range(members, "text_id", keys, MEMBERS.names)[1]).join(
        exposures, "text_id", "left"
    )
    repeated = frame(mapped_range(copies, "text_id", keys, COPIES.names)[1]).with_columns(
        pl.col("doc_id").min().over("text_id", "is_node").alias("first")
    )
    near = member.drop("doc_id", "copies", "cluster_texts").with_columns(is_node=True)
    joined = repeated.join(near, ["text_id", "is_node"], "left").with_columns(
        pl.coalesce("cluster_id", pl.when("is_node").then("text_id")).alias("cluster_id")
    )
    alone = joined.filter(pl.col("is_node") & pl.col("cluster_documents").is_null())
    exact = alone.group_by("text_id").agg(
        pl.col("copies").first().alias("documents"),
        pl.lit(1, pl.Int64).alias("distinct_texts"),
        (pl.col("copies") * pl.col("n_tokens")).first().alias("tokens"),
        pl.col("first").first().alias("representative"),
    )
    exact = exact.rename({"text_id": "cluster_id"}).sort("cluster_id")
    highest = (
        frame(mapped_ranges(best, "text_id", keys, BEST)).group_by("text_id").agg(pl.col("jaccard").max())
    )
    bands, rows = banding
    passages = frame(mapped_ranges(repeating, "text_id", keys, REPEATING))
    return Attached(
        _write_found(joined, member, passages, path),
        write_mapped(exact.select(TOTALS.names).to_arrow().cast(TOTALS), f"{path}-totals.arrow"),
        _write_similarities(member, path),
        len(exact),
        findable(highest.sort("text_id")["jaccard"].to_numpy(), bands, rows),
        len(joined) + member.filter(pl.col("copies") == 1).height,
    )


def _write_found(joined: pl.DataFrame, member: pl.DataFrame, passages: pl.DataFrame, path: str) -> str:
    # By NumPy: polars multiplies by the reciprocal, which is not quite the same.
    joined = joined.with_columns(pl.Series("alone", joined["weight"].to_numpy() / MILLION))
    # Passages are known of the first document of each text.
    of_repeated = joined.join(passages.rename({"doc_id": "first"}).drop("text_id"), "first", "left").select(
        "doc_id",
        "copies",
        "raw_copies",
        pl.coalesce("cluster_documents", "copies").alias("near_copies"),
        "cluster_id",
        pl.coalesce("representative", "first").alias("representative"),
        pl.when(pl.col("cluster_id").is_not_null()).then(pl.col("jaccard").fill_null(1.0)).alias("jaccard"),
        "repeated_tokens",
        "passage_max_occurrences",
        *(pl.coalesce(name, "alone").alias(name) for name in _EXPOSURES),
        "exposures_by_representative",
    )
    of_single = member.filter(pl.col("copies") == 1).select(
        "doc_id",
        "copies",
        pl.col("copies").alias("raw_copies"),
        pl.col("cluster_documents").alias("near_copies"),
        "cluster_id",
        "representative",
        "jaccard",
        *_EXPOSURES,
        "exposures_by_representative",
    )
    of_single = of_single.join(
        passages.join(joined, "doc_id", "anti").drop("text_id"), "doc_id", "full", coalesce=True
    )
    found = (
        pl.concat([of_repeated, of_single.select(of_repeated.columns)])
        .rename({"jaccard": "jaccard_to_representative"})
        .select(FOUND.names)
        .sort("doc_id")
    )
    return write_mapped(found.to_arrow().cast(FOUND), f"{path}-found.arrow")


def _write_similarities(member: pl.DataFrame, path: str) -> str:
    others = member.filter(pl.col("doc_id") != pl.col("representative")).select(SIMILARITIES.names)
    table = others.sort(SIMILARITIES.names).to_arrow().cast(SIMILARITIES)
    return write_mapped(table, f"{path}-similarities.arrow")


def _scanned(segments: Sequence[Segment], part: Sequence[Slice], places: Places) -> pl.DataFrame:
    tables = []
    for piece in part:
        segment = segments[piece.item]
        table = read_mapped(f"{segment.path}/documents.arrow").slice(piece.first, piece.rows)
        row, number = table.column("row").to_numpy(), table.column("piece").to_numpy()
        doc_id = places.doc_ids(segment.shard, number, row)
        # Row of the file, where the scan counted rows of the piece.
        table = table.drop_columns(["piece", "row"])
        table = table.append_column("doc_id", pa.array(doc_id))
        tables.append(table.append_column("row", pa.array((doc_id & np.uint64(0xFFFFFFFF)).astype(np.int64))))
    return frame(pa.concat_tables(tables))


def write_documents(
    part: Sequence[Slice],
    output: str,
    path: str,
    *,
    segments: Sequence[Segment],
    found: Sequence[str],
    places: str,
    inputs: str,
    rules: Rules,
) -> DocumentsResult:
    """Write one part of the documents table and its share of the summaries.

    Args:
        part: which rows of which segments.
        output: the part's file. path: what the names of the other files begin with.
        found: see `attach`. inputs: the inputs table.
    """
    scanned = _scanned(segments, part, Places(places))
    span = int(scanned["doc_id"][0]), int(scanned["doc_id"][-1]) + 1
    uris = pl.Series("uri", read_output(inputs, ["uri"]).column("uri").to_pylist(), pl.String)
    joined = scanned.join(frame(mapped_ranges(found, "doc_id", span, FOUND)), "doc_id", "left").sort("doc_id")
    documents = joined.with_columns(
        uris.gather(joined["doc_id"] // 2**32),
        pl.Series("status", STATUS).gather(joined["status"]),
        pl.col("raw_copies", "copies", "near_copies").fill_null(1),
        pl.coalesce("representative", "doc_id").alias("representative"),
        (pl.col("jaccard_to_representative") < rules.threshold).fill_null(False).alias("chained"),
    ).with_columns((pl.col("representative") == pl.col("doc_id")).alias("keep"))
    documents = _with_exposures(_with_passages(documents, rules.passages), rules.epochs)
    names = DOCUMENTS.arrow_schema().names
    write_output(DOCUMENTS, documents.select(names).to_arrow(), output)
    return DocumentsResult(
        _write_labels(documents, path),
        write_mapped(_by_copies(documents).to_arrow().cast(BY_COPIES), f"{path}-copies.arrow"),
        write_mapped(_by_source(documents).to_arrow().cast(BY_SOURCE), f"{path}-sources.arrow"),
        len(documents),
        *_by_exposures(documents),
    )


def _with_exposures(documents: pl.DataFrame, epochs: Epochs) -> pl.DataFrame:
    hashes = {name: label_hashes(documents[name].to_arrow()) for name in ("source", "licence")}
    alone = pl.Series(epochs.of(hashes["source"]) / MILLION)
    documents = documents.with_columns(
        *(pl.coalesce(name, alone).alias(name) for name in _EXPOSURES),
        pl.col("exposures_by_representative").fill_null(False),
        *(pl.Series(f"{name}_hash", values) for name, values in hashes.items()),
    )
    tier = pl.Series(TIERS).gather(bin_of(documents["exposures"].to_numpy()))
    return documents.with_columns(tier.alias("risk_tier"))


def _by_exposures(documents: pl.DataFrame) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    exposures = documents["exposures"].to_numpy()
    sums = np.zeros((2, len(BINS)), np.int64)
    np.add.at(sums[0], bin_of(exposures), 1)
    np.add.at(sums[1], bin_of(exposures), documents["n_tokens"].to_numpy())
    return tuple(sums[0].tolist()), tuple(sums[1].tolist()), float(exposures.max(initial=0.0))


def _with_passages(documents: pl.DataFrame, looked_for: bool) -> pl.DataFrame:
    if not looked_for:
        return documents.with_columns(pl.lit(None, pl.Float64).alias("repeated_fraction"))
    tokens = pl.max_horizontal(pl.col("n_tokens"), pl.lit(1))
    return documents.with_columns(
        pl.col("repeated_tokens").fill_null(0), pl.col("passage_max_occurrences").fill_null(1)
    ).with_columns((pl.col("repeated_tokens") / tokens).alias("repeated_fraction"))


def _write_labels(documents: pl.DataFrame, path: str) -> str:
    clustered = documents.filter(pl.col("cluster_id").is_not_null())
    keys = ["cluster_id", "source", "licence"]
    labels = clustered.group_by("cluster_id", source="source_hash", licence="licence_hash").agg(
        pl.len().cast(pl.Int64).alias("documents"),
        pl.sum("n_tokens").alias("tokens"),
        pl.col("sample").filter(pl.col("keep")).first(),
    )
    table = labels.sort(keys).select(LABELS.names).to_arrow().cast(LABELS)
    return write_mapped(table, f"{path}-labels.arrow")


def _by_copies(documents: pl.DataFrame) -> pl.DataFrame:
    sums = (
        pl.len().cast(pl.Int64).alias("documents"),
        pl.sum("n_tokens").alias("tokens"),
        pl.sum("n_bytes").alias("bytes"),
    )
    parts = [
        documents.group_by(pl.col(column).alias("copies"))
        .agg(*sums)
        .with_columns(pl.lit(grain).alias("grain"))
        for grain, column in (*GRAINS.items(), ("passage", "passage_max_occurrences"))
    ]
    return pl.concat(parts).filter(pl.col("copies").is_not_null())


def _by_source(documents: pl.DataFrame) -> pl.DataFrame:
    repeated = []
    for grain, column in GRAINS.items():
        again = pl.col(column) >= 2
        repeated.append(again.sum().cast(pl.Int64).alias(f"{grain}_documents"))
        repeated.append(pl.col("n_tokens").filter(again).sum().alias(f"{grain}_tokens"))
    repeated.append((pl.col("repeated_tokens") > 0).sum().cast(pl.Int64).alias("passage_documents"))
    repeated.append(pl.sum("repeated_tokens").alias("passage_tokens"))
    status = [(pl.col("status") == name).sum().cast(pl.Int64).alias(name) for name in STATUS]
    keys = ["source_hash", "licence_hash"]
    sums = documents.group_by("source", "licence").agg(
        pl.col(keys).first(),
        pl.len().cast(pl.Int64).alias("documents"),
        pl.sum("n_tokens").alias("tokens"),
        pl.sum("n_bytes").alias("bytes"),
        pl.sum("keep").cast(pl.Int64).alias("kept"),
        *repeated,
        *status,
    )
    return sums.join(_exposed_tokens(documents), keys).select(BY_SOURCE.names)


def _exposed_tokens(documents: pl.DataFrame) -> pl.DataFrame:
    # Floats, added in the order of the documents.
    source, licence = (documents[name].to_numpy() for name in ("source_hash", "licence_hash"))
    order = np.lexsort((licence, source))
    starts = starts_of_runs(source[order], licence[order])
    exposed = (documents["exposures"] * documents["n_tokens"]).to_numpy()[order]
    total = np.add.reduceat(exposed, starts) if len(starts) else exposed
    at = order[starts]
    return pl.DataFrame({"source_hash": source[at], "licence_hash": licence[at], "exposed_tokens": total})
