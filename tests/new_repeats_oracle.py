"""What new documents repeat of earlier ones, from the definition: plain Python over the texts of a run.

Which pairs were verified, and which documents are in a near cluster, is taken from the run; other
tests are there for these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.config import parse
from pipeline.new_repeats import find_new_repeats
from pipeline.normalise import tokens
from pipeline.progress import Progress
from pipeline.resuming import Here
from tests import oracles, passage_oracle
from tests.audits import Audited, Row, write_texts

NEAR = 0.7


def write_repeats(run: Audited, new_files: Sequence[int] | None, **config: Any) -> dict[str, int]:
    """Write the table of a finished run, whose folder is called `run`; returns the counts that are told."""
    progress = Progress(quiet=True)
    assert run.folder.name == "run"
    engine: Any = Here()
    find_new_repeats(new_files, parse({"inputs": ["-"], **config}), engine, progress, run.folder.parent)
    return dict(progress.logs[-1].counts) if progress.logs else {}


class Expected:
    """The table of a run by its definition.

    Args:
        texts: by doc_id, of the documents that are in the run. new: file_ids.
        w: tokens of the shortest passage; None if passages were not looked for.
    """

    def __init__(self, run: Audited, texts: dict[int, str], new: set[int], w: int | None) -> None:
        self.run, self.new, self.w = run, new, w
        self.words = {doc_id: tuple(tokens(texts[doc_id])) for doc_id in sorted(texts)}
        self.uris = {row["file_id"]: row["uri"] for row in run.rows("inputs")}

    def is_new(self, doc_id: int) -> bool:
        """Whether a document is of a new file."""
        return doc_id >> 32 in self.new

    @cached_property
    def same(self) -> dict[tuple[str, ...], list[int]]:
        """The documents of each text."""
        found = defaultdict(list)
        for doc_id, words in self.words.items():
            found[words].append(doc_id)
        return found

    @cached_property
    def similar(self) -> dict[int, list[tuple[float, int]]]:
        """The earlier documents in verified pairs with the text of each document: similarity, doc_id."""
        found = defaultdict(list)
        for row in self.run.pairs:
            for end, other in ((row["doc_a"], row["doc_b"]), (row["doc_b"], row["doc_a"])):
                if row["jaccard"] >= NEAR:
                    for doc_id in self.same[self.words[end]]:
                        for partner in self.same[self.words[other]]:
                            if not self.is_new(partner):
                                found[doc_id].append((row["jaccard"], partner))
        return found

    @cached_property
    def in_passages(self) -> dict[int, list[tuple[int, tuple[str, ...], int]]]:
        """The passages of each document that earlier ones hold: where, words, the first of those."""
        found = defaultdict(list)
        docs = list(self.words)
        for passage, places in passage_oracle.passages(list(self.words.values()), self.w or 0).items():
            earlier = [docs[d] for d, _ in places if not self.is_new(docs[d])]
            if earlier and not passage_oracle.predictable(passage, self.w or 0):
                for d, start in places:
                    found[docs[d]].append((start, passage, min(earlier)))
        return found if self.w else {}

    @cached_property
    def cluster(self) -> dict[int, list[int]]:
        """The earlier documents in the near cluster of each document."""
        of = {row["doc_id"]: row["cluster_id"] for row in self.run.documents}
        members = defaultdict(list)
        for doc_id, cluster in of.items():
            if cluster is not None and not self.is_new(doc_id):
                members[cluster].append(doc_id)
        return {doc_id: members[cluster] for doc_id, cluster in of.items() if cluster is not None}

    def rows(self) -> list[Row]:
        """The table."""
        new = [doc_id for doc_id, words in self.words.items() if words and self.is_new(doc_id)]
        return [row for row in map(self._row, new) if row is not None]

    def _row(self, doc_id: int) -> Row | None:
        exact = [other for other in self.same[self.words[doc_id]] if not self.is_new(other)]
        near, passages = self.similar.get(doc_id, []), self.in_passages.get(doc_id, [])
        cluster = self.cluster.get(doc_id, [])
        longest = min(passages, key=lambda found: (-len(found[1]), found[2], _id(found[1])), default=None)
        jaccard = None
        if exact:
            kind, partner, jaccard = "exact", min(exact), 1.0
        elif near:
            jaccard, partner = min(near, key=lambda found: (-found[0], found[1]))
            kind = "near"
        elif cluster:
            kind, partner = "cluster", min(cluster)
        elif longest:
            kind, partner = "passage", longest[2]
        else:
            return None
        covered = {start + i for start, passage, _ in passages for i in range(len(passage))}
        own = longest if not exact else None
        return {
            **self._place("", doc_id),
            "n_tokens": len(self.words[doc_id]),
            "kind": kind,
            **self._place("earlier_", partner),
            "jaccard": jaccard,
            "earlier_copies": len(exact),
            "repeated_tokens": len(self.words[doc_id]) if exact else len(covered) if self.w else None,
            "passage_tokens": len(own[1]) if own else None,
            "passage_id": _id(own[1]) if own else None,
        }

    def _place(self, prefix: str, doc_id: int) -> Row:
        uri, row = self.uris[doc_id >> 32], doc_id & 0xFFFFFFFF
        return {f"{prefix}doc_id": doc_id, f"{prefix}uri": uri, f"{prefix}row": row}


def _id(passage: Sequence[str]) -> int:
    return oracles.text_id(" ".join(passage))


def texts_of(files: Sequence[Sequence[str]]) -> dict[int, str]:
    """Texts by doc_id, of files in the order of their names."""
    return {number << 32 | row: text for number, file in enumerate(files) for row, text in enumerate(file)}


def expected(run: Audited, files: Sequence[Sequence[str]], new: Sequence[int], w: int | None) -> list[Row]:
    """The table that a run over files must write."""
    return Expected(run, texts_of(files), set(new), w).rows()


def folder_of(files: Sequence[Sequence[str]], folder: Path) -> Path:
    """Files of texts, named in their order."""
    for number, file in enumerate(files):
        write_texts(folder / f"{number}.jsonl", file)
    return folder
