r"""Groups near-duplicates with datatrove's four MinHash stages.

Signature, buckets, cluster and filter, each under ``LocalPipelineExecutor`` with ``--processes``
workers (2), with the default ``MinhashConfig``: 5-grams, 14 buckets of 8 hashes, that is 112
permutations and an even chance for a pair at a similarity of 0.69. Files are read with
``ParquetReader``; the kept documents are written with ``ParquetWriter`` and thrown away; the groups
are the cluster ids that the third stage saves.

As the tool has it: every number becomes 0, diacritics are removed, and words are those of spaCy's
blank English pipeline, which needs the package and no download. Documents under 5 words have no
shingle and are kept without a look, also where they are equal; documents without text are not read
at all. Groups are components of unverified bucket matches.

A task reads whole files, so fewer files than workers would leave workers idle: then the files are
first cut into four parts a worker, inside the measured time. The buckets stage has one task a
bucket, the cluster stage is a single task. Every stage starts its own pool, whose processes import
the tool again; the signature stage loads spaCy in each.

Usage: python datatrove_minhash.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet [--processes N]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import iter_unpack
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.typeshelper import Languages
from parquet_documents import (
    count_documents,
    groups_of_roots,
    link_numbered,
    peer_parser,
    read_batches,
    write_groups,
)

PARTS_PER_WORKER = 4


def lay_out(inputs: list[Path], folder: Path, workers: int) -> list[Path]:
    """Put the inputs into an empty folder, a file a task; cut fewer files than workers."""
    if len(inputs) >= workers:
        return link_numbered(inputs, folder)
    table = pq.read_table(inputs)
    part_rows = max(1, -(-len(table) // (PARTS_PER_WORKER * workers)))
    parts = []
    for number, start in enumerate(range(0, max(1, len(table)), part_rows)):
        parts.append(folder / f"{number:05d}.parquet")
        pq.write_table(table.slice(start, part_rows), parts[-1])
    return parts


def stages(scratch: Path, tasks: int) -> Iterator[tuple[str, list[PipelineStep], int]]:
    """Yield the name, pipeline and number of tasks of the four stages, in order."""
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    documents = str(scratch / "input")
    signatures, buckets, clusters = (str(scratch / name) for name in ("signatures", "buckets", "clusters"))
    yield (
        "signature",
        [
            ParquetReader(documents),
            MinhashDedupSignature(signatures, config=config, language=Languages.english),
        ],
        tasks,
    )
    yield "bucket", [MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets
    yield (
        "cluster",
        [MinhashDedupCluster(buckets, clusters, config=config, save_cluster_id=True)],
        1,
    )
    yield (
        "filter",
        [
            ParquetReader(documents),
            MinhashDedupFilter(clusters),
            ParquetWriter(str(scratch / "kept")),
        ],
        tasks,
    )


def cluster_ids(clusters: Path, parts: list[Path]) -> dict[int, int]:
    """Return the saved cluster id of each document that has one, by position over all parts."""
    found: dict[int, int] = {}
    first = 0
    for task, part in enumerate(parts):
        texts = [text for batch in read_batches([part]) for text in batch]
        read_by_tool = [first + row for row, text in enumerate(texts) if text]
        saved = clusters / f"{task:06d}.clusters"
        if saved.exists():
            found.update(
                (read_by_tool[document], cluster)
                for document, cluster in iter_unpack("<II", saved.read_bytes())
            )
        first += len(texts)
    return found


def main() -> None:
    """Run the four stages one after the other, write the groups."""
    given = peer_parser(__doc__).parse_args()
    with TemporaryDirectory(prefix="datatrove-") as temporary:
        scratch = Path(temporary)
        (scratch / "input").mkdir()
        parts = lay_out(given.inputs, scratch / "input", given.processes)
        for name, pipeline, tasks in stages(scratch, len(parts)):
            logs = str(scratch / "logs" / name)
            LocalPipelineExecutor(
                pipeline, tasks=tasks, workers=min(tasks, given.processes), logging_dir=logs
            ).run()
        roots = cluster_ids(scratch / "clusters", parts)
    write_groups(given.output, groups_of_roots(roots, count_documents(given.inputs)))


if __name__ == "__main__":
    main()
