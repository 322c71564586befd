"""The truth about documents by brute force, computed once in a process of its own, kept on disk.

Usage: python kept_truth.py THRESHOLD OUTPUT.npz INPUT.parquet [INPUT.parquet ...]
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from measure import measure
from sets import Documents, read_texts
from trials import report
from truth import Truth, find_pairs

THRESHOLD = 0.7
TIMEOUT_SECONDS = 1800
_HERE = Path(__file__).resolve().parent
_RULES = (_HERE / "truth.py", _HERE.parents[1] / "pipeline" / "normalise.py")


def truth_of(documents: Documents, work: Path) -> Truth | None:
    """Return the truth about documents; None if it takes longer than half an hour or fails.

    work: where truths are kept. A kept one is of the same documents, threshold and rules.
    """
    rules = hashlib.sha256(b"".join(rule.read_bytes() for rule in _RULES)).hexdigest()
    key = hashlib.sha256(f"{documents.digest} {THRESHOLD} {rules}".encode()).hexdigest()
    kept = work / "truths" / f"{documents.name}-{key[:16]}.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        run = measure(
            [sys.executable, Path(__file__), str(THRESHOLD), partial, *documents.files],
            timeout_seconds=TIMEOUT_SECONDS,
        )
        report(
            f"{documents.name}: brute force, {run.wall_seconds:.1f} s, {run.peak_tree_bytes / 1e6:,.0f} MB,"
            f" exit code {run.returncode} {run.stderr_tail[-200:]}".rstrip()
        )
        if run.returncode:
            partial.unlink(missing_ok=True)
            return None
        partial.rename(kept)
    return load(kept)


def save(truth: Truth, path: Path) -> None:
    """Write a truth as one file of arrays."""
    values = {field.name: np.asarray(getattr(truth, field.name)) for field in fields(truth)}
    np.savez(path, allow_pickle=False, **values)


def load(path: Path) -> Truth:
    """Read a truth back."""
    with np.load(path) as arrays:
        values = {field.name: arrays[field.name] for field in fields(Truth)}
    return Truth(**{name: value if value.ndim else value.item() for name, value in values.items()})


def main() -> None:
    """Compare all texts of the inputs, write the truth."""
    threshold, output, *inputs = sys.argv[1:]
    save(find_pairs(read_texts(map(Path, inputs)), float(threshold)), Path(output))


if __name__ == "__main__":
    main()
