"""Compilation happens before the work, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import gzip, json, random, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from pyarrow import ipc
from pipeline.stages.warm import warm

warm()

from numba.core.dispatcher import Dispatcher
from pipeline.config import parse
from pipeline.progress import Progress
from pipeline.run import run_audit

def signatures():
    return {
        f"{module}.{name}": len(value.signatures)
        for module, found in sorted(sys.modules.items())
        if module.startswith("pipeline.kernels")
        for name, value in vars(found).items()
        if isinstance(value, Dispatcher)
    }

rng = random.Random(1)
words = [f"w{rng.getrandbits(40):x}" for _ in range(160)]
texts = [" ".join(words[i : i + 40]) for i in range(0, 90, 3)]
texts += ["cafe\\u0301 au lait", "", "x y", "漢字かな"] + texts[:5] + [text.upper() for text in texts[5:9]]
texts += [" ".join(f"v{i}" for i in range(60_000))] * 2
# Passages in texts that have to be composed, and more of them in a document than there is room for.
texts += [f"{end} " + "e\\u0301 " + " ".join(words[:40]) for end in "pq"]
parts = [" ".join(words[i : i + 30]) for i in rng.choices(range(99), k=4000)]
texts += [" ".join([end, *parts]) for end in "pq"]

folder = Path(sys.argv[1])
folder.mkdir()
kinds = {"a": pa.string(), "b": pa.large_binary(), "c": pa.large_string(), "d": pa.string_view()}
for name, kind in kinds.items():
    table = pa.table({"text": pa.array(texts).cast(kind)})
    with ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
        writer.write_table(table)
pq.write_table(pa.table({"text": pa.array(texts).dictionary_encode()}), folder / "e.parquet")
pq.write_table(pa.table({"text": pa.array([""] * 3)}), folder / "f.parquet")
rows = [{"text": text, "from": "xyz"[i % 3], "terms": "mit"} for i, text in enumerate(texts)]
lines = "".join(json.dumps(row) + "\\n" for row in rows)
(folder / "g.jsonl").write_text(lines)
(folder / "h.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
(folder / "i.csv").write_text("text\\n" + "\\n".join(texts))
labels = {"source_column": "from", "licence_column": "terms", "mixture": {"x": 2}}

before = signatures()
config = {"out": str(folder / "out"), "shard_bytes": 100_000}
run = run_audit(parse(config | {"inputs": str(folder)}), "run", Progress(quiet=True))
config |= labels | {"inputs": [str(folder / "g.jsonl"), str(folder / "h.jsonl.gz")]}
run_audit(parse(config), "labelled", Progress(quiet=True))
(folder / "j.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in (rows[0], rows[29])))
run_audit(parse(config | {"inputs": str(folder / "j.jsonl")}), "unlike", Progress(quiet=True))
metrics = {row["name"]: row["value"] for row in pq.read_table(run / "summary/metrics.parquet").to_pylist()}
after = signatures()
print(json.dumps({"before": before, "after": after, "metrics": metrics}))
"""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """How often each kernel was compiled or loaded, after warming up and after an audit."""
    folder = tmp_path_factory.mktemp("warm")
    command = [sys.executable, "-c", PROGRAM, str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def test_audit_of_any_mixture_of_files_compiles_nothing_after_warming_up(
    counted: dict[str, dict[str, float]],
) -> None:
    assert counted["after"] == counted["before"]


def test_audit_that_was_watched_did_everything(counted: dict[str, dict[str, float]]) -> None:
    metrics = counted["metrics"]
    for name in (
        "near_groups",
        "verified_pairs",
        "chained_clusters",
        "empty_documents",
        "passages",
        "predictable_passages",
        "passage_texts_read_again",
    ):
        assert metrics[name] > 0, name
    assert sum(counted["before"].values()) > 5


def test_warming_up_twice_is_warming_up_once() -> None:
    from pipeline.kernels.scan import scan
    from pipeline.stages.warm import warm

    warm()
    compiled = list(scan.signatures)
    warm()
    assert scan.signatures == compiled
