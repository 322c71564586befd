"""Calls stages one after the other, as a run does, but on a few texts and in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from pipeline.artifacts import KeyRange, key_ranges, read_output, write_output
from pipeline.config import NearConfig
from pipeline.mapped import read_mapped
from pipeline.mixture import Epochs
from pipeline.readers.rows import Columns
from pipeline.schemas import INPUTS
from pipeline.stages.candidates import propose
from pipeline.stages.clusters import Clusters, find_clusters
from pipeline.stages.components import Assigned, Plan, assign, plan
from pipeline.stages.documents import Attached, DocumentsResult, Rules, attach, write_documents
from pipeline.stages.exposures import expose, gather
from pipeline.stages.inputs import InputFile, Shard, ShardPiece, inspect, list_files, source_of
from pipeline.stages.links import Linked, measure_links
from pipeline.stages.pairs import Verified, verify
from pipeline.stages.parts import Slice, slices
from pipeline.stages.places import write_places
from pipeline.stages.scan import ScanParameters, ScanResult, Segment, scan
from pipeline.stages.sets import read_sets
from pipeline.stages.shards import shards
from pipeline.stages.sketches import Survivors, attach_left, filter_right
from pipeline.stages.texts import TextsResult, group_texts

BY_FILE = r"/([^/]+)\.jsonl$"  # the source of a document is the name of its file
NEAR = NearConfig(threshold=0.7, floor=0.5, permutations=64)
ONCE = Epochs()
PARAMETERS = ScanParameters(Columns(), NEAR.shingle_tokens, NEAR.permutations, NEAR.seed, *NEAR.banding)


def doc(file: int, row: int) -> int:
    """The doc_id of a row of a file."""
    return file << 32 | row


def rows_of(path: str | Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A table as dicts."""
    return table_at(path, columns).to_pylist()  # type: ignore[no-any-return]


def table_at(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A table of a run, in either of the two formats of its files."""
    return (read_output if Path(path).read_bytes()[:4] == b"PAR1" else read_mapped)(path, columns)


def all_rows(paths: Sequence[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Several tables, one after the other, as dicts."""
    return [row for path in paths for row in rows_of(path, columns)]


def columns_of(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    """Some columns as one tuple a row."""
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


@dataclass(frozen=True)
class Corpus:
    """Scanned files. `texts` holds the text of every row by doc_id, None where it holds none."""

    folder: Path
    files: tuple[InputFile, ...]
    shards: tuple[Shard, ...]
    results: tuple[ScanResult, ...]
    segments: tuple[Segment, ...]
    places: str
    parameters: ScanParameters
    texts: dict[int, str | None]
    epochs: Epochs = ONCE


def cut(files: Sequence[InputFile], shard_bytes: int, source: str | None = None) -> tuple[Shard, ...]:
    """The shards of some files; `source` is an expression that finds the source in the path."""
    found = inspect(files, shard_bytes)
    assert not any(item.problem for item in found)
    pieces = [
        ShardPiece(i, file, piece, source_of(file.uri, source))
        for i, (file, item) in enumerate(zip(files, found, strict=True))
        for piece in item.pieces
    ]
    return tuple(shards(pieces, shard_bytes))


def write_jsonl(path: Path, texts: Sequence[str | None]) -> Path:
    """A line a text, null where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def scanned(
    folder: Path,
    texts: Mapping[str, Sequence[str | None]] | Sequence[str | None],
    *,
    shard_bytes: int = 1 << 20,
    parameters: ScanParameters = PARAMETERS,
    source: str | None = None,
    epochs: Epochs = ONCE,
) -> Corpus:
    """Write texts as JSON Lines, by name of the file (in order of names), and scan them."""
    by_name = dict(texts) if isinstance(texts, Mapping) else {"a": texts}
    assert list(by_name) == sorted(by_name), "file_ids follow the names"
    for name, held in by_name.items():
        write_jsonl(folder / "in" / f"{name}.jsonl", held)
    files = list_files([str(folder / "in")], "jsonl").files
    pieces = cut(files, shard_bytes, source)
    results = tuple(
        scan(shard, parameters, str(folder / "scan" / str(shard.number)), False) for shard in pieces
    )
    return Corpus(
        folder,
        files,
        pieces,
        results,
        tuple(segment for result in results for segment in result.segments),
        write_places(pieces, [result.piece_rows for result in results], str(folder / "places.arrow")),
        parameters,
        {doc(i, row): text for i, held in enumerate(by_name.values()) for row, text in enumerate(held)},
        epochs,
    )


def grouped(corpus: Corpus, keys: Sequence[KeyRange]) -> list[TextsResult]:
    """The distinct texts of a corpus by key range."""
    folder = corpus.folder / f"texts-{len(keys)}"
    return [
        group_texts(
            span, str(folder / str(i)), segments=corpus.segments, places=corpus.places, epochs=corpus.epochs
        )
        for i, span in enumerate(keys)
    ]


@dataclass(frozen=True)
class Filtered:
    """A corpus up to the candidate pairs that the sketch filter kept."""

    corpus: Corpus
    near: NearConfig
    keys: list[KeyRange]
    texts: list[TextsResult]
    candidates: list[str]
    kept: list[Survivors]


def filtered(corpus: Corpus, near: NearConfig = NEAR, parts: int = 3) -> Filtered:
    """Group, propose and filter, in `parts` ranges of keys."""
    keys, work = key_ranges(parts), corpus.folder / f"near-{parts}"
    candidates = [
        propose(span, str(work / f"c{i}"), segments=corpus.segments)[0] for i, span in enumerate(keys)
    ]
    shared: dict[str, Any] = {"segments": corpus.segments, "permutations": near.permutations}
    half = [
        attach_left(span, str(work / f"h{i}"), candidates=candidates, **shared) for i, span in enumerate(keys)
    ]
    kept = [
        filter_right(span, str(work / f"k{i}"), half_joined=half, floor=near.floor, **shared)
        for i, span in enumerate(keys)
    ]
    return Filtered(corpus, near, keys, grouped(corpus, keys), candidates, kept)


@dataclass(frozen=True)
class Placed:
    """The same with its blocks and the shingle sets in them."""

    filtered: Filtered
    plan: Plan
    assigned: list[Assigned]
    sets: list[str]


def placed(found: Filtered, earlier: Sequence[str] = (), name: str = "blocks") -> Placed:
    """Plan, assign and read the sets of what is not among the units of an earlier run."""
    corpus, work = found.corpus, found.corpus.folder / f"{name}-{len(found.keys)}"
    forests, sums = [part.forest for part in found.kept], [part.sums for part in found.kept]
    made = plan(forests, found.texts, found.keys, str(work / "plan"), sums=sums, earlier=earlier)
    shared: dict[str, Any] = {"segments": corpus.segments, "permutations": found.near.permutations}
    assigned = [
        assign(made, texts, kept.edges, span, str(work / f"a{i}"), **shared)
        for i, (texts, kept, span) in enumerate(zip(found.texts, found.kept, found.keys, strict=True))
    ]
    wanted = [part.wanted for part in assigned]
    sets = [
        read_sets(
            shard,
            str(work / f"s{shard.number}"),
            places=corpus.places,
            wanted=wanted,
            parameters=corpus.parameters,
        )
        for shard in corpus.shards
    ]
    return Placed(found, made, assigned, [path for paths in sets for path in paths])


def placed_in_blocks(corpus: Corpus, block_tokens: int) -> Placed:
    """The same in blocks of another size."""
    with patch("pipeline.stages.components.BLOCK_TOKENS", block_tokens):
        return placed(filtered(corpus))


@dataclass(frozen=True)
class Compared:
    """The same with everything the exact comparison found, by document."""

    placed: Placed
    verified: list[Verified]
    clusters: Clusters
    similarities: list[str]
    exposed: list[str]
    linked: list[str]
    attached: list[Attached]

    @property
    def pairs(self) -> list[str]:
        """All tables of pairs."""
        return [part.pairs for part in self.verified] + self.linked


def compared(there: Placed) -> Compared:
    """Verify, cluster, compare with representatives, attach."""
    found = there.filtered
    near, work = found.near, found.corpus.folder / f"pairs-{len(found.keys)}"
    numbers = sorted({number for part in there.assigned for number in part.block_pairs})
    edges = [part.edges for part in there.assigned]
    verified = [
        verify(number, str(work / f"v{number:x}"), edges=edges, sets=there.sets, near=near)
        for number in numbers
    ]
    clusters = find_clusters(verified, str(work / "clusters"))
    linked = [
        measure_links(number, str(work / f"l{number:x}"), there.sets, links=[clusters.links], near=near)
        for number in clusters.block_pairs
    ]
    similarities = [part.similarity for part in linked]
    exposed = _exposed(found, verified, clusters, linked)
    attached = [
        attach(
            span,
            texts.copies,
            str(work / f"t{i}"),
            members=clusters.members,
            exposed=exposed,
            best=[part.best for part in verified],
            repeating=[],
            banding=near.banding,
        )
        for i, (span, texts) in enumerate(zip(found.keys, found.texts, strict=True))
    ]
    return Compared(
        there, verified, clusters, similarities, exposed, [part.pairs for part in linked], attached
    )


def _exposed(
    found: Filtered, verified: list[Verified], clusters: Clusters, linked: list[Linked]
) -> list[str]:
    work, near = found.corpus.folder / f"exposures-{len(found.keys)}", found.near
    gathered = [
        gather(
            span,
            texts,
            str(work / f"g{i}"),
            members=clusters.members,
            similarities=[part.similarity for part in linked],
            similar=[part.similar for part in verified] + [part.similar for part in linked],
            segments=found.corpus.segments,
            permutations=near.permutations,
        )
        for i, (span, texts) in enumerate(zip(found.keys, found.texts, strict=True))
    ]
    shared: dict[str, Any] = {"permutations": near.permutations, "shingle_tokens": near.shingle_tokens}
    return [
        expose(span, str(work / f"e{i}"), gathered=gathered, **shared)[0] for i, span in enumerate(found.keys)
    ]


@dataclass(frozen=True)
class Written:
    """The same with the documents table, in parts of a few rows."""

    compared: Compared
    inputs: str
    parts: tuple[tuple[Slice, ...], ...]
    outputs: list[str]
    results: list[DocumentsResult]


def write_inputs(corpus: Corpus, path: Path) -> str:
    """The inputs table of a corpus."""
    files = corpus.files
    table = {
        "file_id": pa.array(range(len(files)), pa.uint64()),
        "uri": pa.array([file.uri for file in files], pa.large_string()),
        "format": pa.array([file.format for file in files], pa.large_string()),
        "size_bytes": pa.array([file.size_bytes for file in files], pa.int64()),
        "fingerprint": pa.array([""] * len(files), pa.large_string()),
        "rows": pa.array([None] * len(files), pa.int64()),
    }
    return write_output(INPUTS, pa.table(table), path)


def written(found: Compared, part_rows: int = 5) -> Written:
    """Write the documents."""
    corpus, near = found.placed.filtered.corpus, found.placed.filtered.near
    work = corpus.folder / f"documents-{part_rows}"
    parts = tuple(slices([segment.documents for segment in corpus.segments], part_rows))
    inputs = write_inputs(corpus, work / "inputs.parquet")
    outputs = [str(work / f"part-{i}.parquet") for i in range(len(parts))]
    results = [
        write_documents(
            part,
            output,
            str(work / f"d{i}"),
            segments=corpus.segments,
            found=[each.found for each in found.attached],
            places=corpus.places,
            inputs=inputs,
            rules=Rules(near.threshold, False, corpus.epochs),
        )
        for i, (part, output) in enumerate(zip(parts, outputs, strict=True))
    ]
    return Written(found, inputs, parts, outputs, results)


def near_duplicates(
    folder: Path,
    texts: Mapping[str, Sequence[str | None]] | Sequence[str | None],
    parts: int = 3,
    **cutting: Any,
) -> Compared:
    """All of the above."""
    return compared(placed(filtered(scanned(folder, texts, **cutting), parts=parts)))
