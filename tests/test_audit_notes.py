"""What of a mixture does not fit the data is said, in the manifest and to whoever looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.show import summary
from tests.audits import audit, without_dask, write_rows

ROWS = [{"text": f"text {i}", "source": source} for i, source in enumerate(["web", "web", "books", None])]
UNNAMED = (
    "Documents of sources that mixture.weights does not name: {}. They count as not trained on, with 0"
    " epochs."
)


def _notes(folder: Path, mixture: dict[str, Any]) -> list[str]:
    options: dict[str, Any] = {
        "source_column": "source",
        "mixture": mixture,
        "model": {"training_tokens": 100},
    }
    with without_dask():
        found = audit(write_rows(folder / "a.jsonl", ROWS), folder / "out", **options)
    manifest = json.loads((found.folder / "run.json").read_text(encoding="utf-8"))
    shown = " ".join(summary(found.folder, 0).split())
    for note in manifest["notes"]:
        assert f"Note: {' '.join(note.split())}" in shown
    assert ("Note:" in shown) == bool(manifest["notes"])
    return list(manifest["notes"])


@pytest.mark.parametrize(
    ("mixture", "notes"),
    [
        ({}, []),
        ({"web": 2, "books": 0}, []),
        ({"wikipdia": 3, "web": 2}, ["The mixture names sources that no document has: 'wikipdia'."]),
        ({"weights": {"web": 1, "books": 2}}, [UNNAMED.format(1)]),
        (
            {"weights": {"web": 1, "a\nb": 1}},
            [r"The mixture names sources that no document has: 'a\nb'.", UNNAMED.format(2)],
        ),
        (
            {f"s{i}": 1 for i in range(7)},
            ["The mixture names sources that no document has: 's0', 's1', 's2', 's3', 's4' and 2 more."],
        ),
    ],
)
def test_names_and_documents_that_do_not_meet_are_noted(
    mixture: dict[str, Any], notes: list[str], tmp_path: Path
) -> None:
    assert _notes(tmp_path, mixture) == notes
