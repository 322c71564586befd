"""The page of a wide run stays small, that of an audit of ten million documents is made in seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser

from pipeline import schemas
from pipeline.artifacts import write_output
from pipeline.report.page import write_page
from tests.report import tables
from tests.report.opened import opened
from tests.report.tables import Row, manifest_of, write_run

PART = 1_000_000
WORDS = "a sentence of the sample that stands at the beginning of the text " * 8

Columns = dict[str, pa.Array]


def write_parts(
    run: Path, table: schemas.Table, rows: int, given: Callable[[np.random.Generator, int], Columns]
) -> None:
    """Write a table in parts; columns that are not given have one value, or null where that may be."""
    rng, schema = np.random.default_rng(7), table.arrow_schema()
    folder = (run / table.path).parent
    for old in folder.glob("*.parquet"):
        old.unlink()
    for part, start in enumerate(range(0, rows, PART)):
        n = min(PART, rows - start)
        columns = given(rng, n)
        plain = tables.rows_of(table, [{}])
        for field in schema:
            if field.name not in columns:
                one = plain.column(field.name)[0]
                columns[field.name] = pa.nulls(n, field.type) if one.as_py() is None else pa.repeat(one, n)
        keys = pa.array(np.arange(start, start + n, dtype=np.uint64) << np.uint64(30))
        columns[table.order[0]] = keys
        write_output(
            table,
            pa.table({name: columns[name] for name in schema.names}),
            folder / f"part-{part:05d}.parquet",
        )


def _ints(rng: np.random.Generator, n: int, most: int) -> pa.Array:
    return pa.array(2 + np.minimum(rng.pareto(1.2, n) * 3, most).astype(np.int64))


def _texts(rng: np.random.Generator, n: int, length: int) -> pa.Array:
    starts = rng.integers(0, 40, n)
    choices = [WORDS[i : i + length] for i in range(40)]
    return pa.DictionaryArray.from_arrays(pa.array(starts), pa.array(choices)).cast(pa.large_string())


def clusters(rng: np.random.Generator, n: int) -> Columns:
    """Clusters, one in ten of them chained."""
    return {
        "documents": _ints(rng, n, 10**6),
        "chained": pa.array((rng.random(n) < 0.1).astype(np.int64)),
        "min_jaccard": pa.array(rng.random(n)),
        "sample": _texts(rng, n, 200),
    }


def passages(rng: np.random.Generator, n: int) -> Columns:
    """Passages of 500 characters, one in a hundred predictable."""
    return {
        "occurrences": _ints(rng, n, 10**6),
        "tokens": pa.array(rng.integers(25, 400, n)),
        "predictable": pa.array(rng.random(n) < 0.01),
        "text": _texts(rng, n, 500),
    }


def wide() -> dict[str, list[Row]]:
    """200 sources that all share something, thousands of files and of source and licence pairs."""
    names = [f"source-{i}-{'x' * 60}" for i in range(200)]
    example = {"text": "w " * 1000, "n_bytes": 9999}
    return {
        "inputs": [{"file_id": i, "uri": f"/data/{'d' * 200}/{i}"} for i in range(5000)],
        "sources": tables.sources([*names, *(f"more {i}" for i in range(3000))], ("MIT", "GPL", None)),
        "source_overlap": [*tables.overlap(names), *tables.overlap(names, kind="licence")],
        "examples": [
            {**example, "cluster_id": i << 30, "doc_id": i + j * 10**6} for i in range(50) for j in (0, 1)
        ],
        "rejects": [{"uri": "f", "row": i, "detail": "d" * 200} for i in range(5000)],
    }


def test_page_of_a_wide_run_is_small(tmp_path: Path, browser: Browser) -> None:
    run = write_run(tmp_path, None, **wide())
    write_parts(run, schemas.CLUSTERS, 100_000, clusters)
    write_parts(run, schemas.PASSAGES, 100_000, passages)
    path = write_page(run, None)
    assert path.stat().st_size < 2_500_000
    with opened(browser, path) as watched:
        assert len(watched.page.locator('[data-plot="overlap-source"] .mark-rect path').all()) == 25 * 25
        assert len(watched.table("sources")) == 200
        assert "The 200 with most tokens, of 3,200." in watched.page.locator("#sources").inner_text()
        assert len(watched.table("source-pairs")) == 60
        assert len(watched.table("files")) == 100
        assert len(watched.table("clusters")) == 25


MEASURED = """
import json, re, sys, time
from pathlib import Path
began = time.monotonic()
from pipeline.report.page import write_page
path = write_page(Path(sys.argv[1]), None)
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"seconds": time.monotonic() - began, "peak": peak, "size": path.stat().st_size}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_page_of_ten_million_documents_is_made_in_bounded_memory(tmp_path: Path) -> None:
    # Measured on two 2.6 GHz cores: 7 s, imports included, and 0.35 GB.
    run = write_run(tmp_path, manifest_of({"documents": 10**7}), **wide())
    write_parts(run, schemas.CLUSTERS, 3 * 10**6, clusters)
    write_parts(run, schemas.PASSAGES, 20 * 10**6, passages)
    for name in ("documents", "pairs", "spans"):
        (run / name / "part-00000.parquet").write_bytes(b"never read")
    command = [sys.executable, "-W", "error", "-c", MEASURED, str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["peak"] < 1e9
    assert found["size"] < 2_500_000
