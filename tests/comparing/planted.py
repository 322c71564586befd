"""Two corpora that differ as planted, audited and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.compare import compare_runs
from pipeline.comparing.tables import COMPARISONS
from tests.audits import Audited, Row, audit, without_dask, write_rows

Corpus = dict[str | None, list[str]]  # texts by source

HOSTILE = '\x1b[31mred\u202e [bold]x[/bold]\n<script>alert("x")</script>'


def words(start: str, count: int = 30) -> str:
    return " ".join(f"{start}{i}er" for i in range(count))


def near(start: str, numbers: Iterable[int]) -> list[str]:
    """Texts of one cluster: a word of their own, then 30 that they share."""
    return [f"{start}{i} {words(start)}" for i in numbers]


# By source: a cluster that grows, one that shrinks, a text in four copies that goes, a new cluster.
BEFORE: Corpus = {
    "a": [*near("grow", range(6)), *near("shrink", range(5))],
    "b": [*[words("gone")] * 4, "lonely", ""],
}
AFTER: Corpus = {
    "a": [*near("grow", range(6)), *near("shrink", range(3))],
    "b": [*near("grow", range(6, 9)), "lonely", ""],
    HOSTILE: [f"{text} {HOSTILE}" for text in near(HOSTILE, range(7))],
}


def audit_sources(folder: Path, name: str, corpus: Corpus, **config: Any) -> Audited:
    rows = [{"text": text, "source": source} for source, texts in corpus.items() for text in texts]
    data = write_rows(folder / f"{name}.jsonl", rows)
    with without_dask(page=False):
        return audit(data, folder / "audits", name, **{"source_column": "source", **config})


def planted_runs(folder: Path) -> tuple[Audited, Audited]:
    """Audit both corpora."""
    return audit_sources(folder, "monday", BEFORE), audit_sources(folder, "tuesday", AFTER)


def compared(pair: tuple[Audited, Audited], out: Path, least: int = 2) -> dict[str, list[Row]]:
    """The tables of a comparison by name."""
    compare_runs(pair[0].folder, pair[1].folder, out, least)
    names = [Path(table.path).stem for table in COMPARISONS]
    return {name: Audited(out).rows(name) for name in names}


def copied(audited: Audited, target: Path) -> Path:
    return Path(shutil.copytree(audited.folder, target))


def edit(run: Path, place: str, value: object) -> None:
    """Put another value into a run's manifest, at a place such as `config.near.seed`."""
    manifest = json.loads((run / "run.json").read_text())
    *path, last = place.split(".")
    tree = manifest
    for key in path:
        tree = tree[key]
    tree[last] = value
    (run / "run.json").write_text(json.dumps(manifest))
