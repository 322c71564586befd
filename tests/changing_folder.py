"""A folder of input files that are added, changed, moved and removed, each change at a time of its own."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests import corpus

LABELS = ("web", "wiki", "books")  # folders, by which documents have their source
KINDS = ("jsonl", "jsonl.gz", "parquet", "csv", "txt")
ROW_GROUP = 3  # documents
PASSAGE = 8  # tokens

_EPOCH = 1_600_000_000


def pool(seed: int = 1) -> list[str]:
    """Texts that repeat each other in every way: copies, disguised ones, near ones, chains, passages."""
    rng = random.Random(seed)
    words = corpus.fresh(rng, 60)
    # Of neighbours in this chain 0.76 of the shingles are shared, of any others less than the threshold.
    chain = [corpus.window(words, start, 22) for start in range(0, 18, 3)]
    likes = [corpus.edited(rng, words[:40], changes) for changes in (0, 1, 1, 2, 3)]
    # A passage that goes on, and is led up to, in several ways; and one within it.
    inner, shared = corpus.fresh(rng, PASSAGE), corpus.fresh(rng, 12)
    branches = [
        corpus.joined([*before, *shared, *after])
        for before in ([], corpus.fresh(rng, 3), inner)
        for after in ([], corpus.fresh(rng, 2), corpus.fresh(rng, 9))
    ]
    branches += [corpus.disguised(rng, [*corpus.fresh(rng, 4), *shared[2:], *inner]), corpus.joined(inner)]
    disguised = [corpus.disguised(rng, words[:26]), corpus.disguised(rng, shared)]
    others = [
        "",
        "...",
        "a b",
        "cafe\u0301 ﬁ " * 4,
        "x y z " * 9,
        "床前明月光疑是地上霜舉頭",
        "<script>\0\u202e",
    ]
    return [*chain, *likes, *branches, *disguised, *others, *(corpus.text(rng, 6) for _ in range(4))]


POOL = pool()


def write(path: Path, texts: Sequence[str]) -> None:
    """Write documents in the format that the file's name tells; of a text file they are the paragraphs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.partition(".")[2]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    if kind == "parquet":
        table = pa.table({"text": pa.array(texts, pa.string())})
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="none")
    elif kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    else:
        path.write_text(lines if kind == "jsonl" else "\n\n".join(texts), encoding="utf-8")


@dataclass
class ChangingFolder:
    """Input files and the documents they hold; those that cannot be read are in `bad`."""

    root: Path
    texts: dict[Path, list[str]] = field(default_factory=dict)
    bad: set[Path] = field(default_factory=set)
    ticks: int = 0
    names: int = 0

    @property
    def paths(self) -> list[Path]:
        """The files there are, in order."""
        return sorted(self.texts)

    def stamp(self, path: Path) -> None:
        """Give a file a time of its last change that no file had before."""
        self.ticks += 1
        os.utime(path, (_EPOCH + self.ticks, _EPOCH + self.ticks))

    def new_path(self, label: str, kind: str) -> Path:
        """A path that no file had before, anywhere in the order of files."""
        self.names += 1
        return self.root / label / f"{self.names * 7919 % 1000:03d}-{self.names}.{kind}"

    def put(self, path: Path, texts: Sequence[str]) -> None:
        """Write a file, over what stood there."""
        write(path, texts)
        self.stamp(path)
        self.texts[path] = list(texts)
        self.bad.discard(path)

    def add(self, label: str, kind: str, texts: Sequence[str]) -> Path:
        """A new file."""
        path = self.new_path(label, kind)
        self.put(path, texts)
        return path

    def rename(self, path: Path, label: str) -> Path:
        """Move a file, content and time being the same."""
        to = self.new_path(label, path.name.partition(".")[2])
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
        self.texts[to] = self.texts.pop(path)
        if path in self.bad:
            self.bad ^= {path, to}
        return to

    def rename_as(self, path: Path, kind: str) -> Path:
        """Say that a file is of another format that holds lines: `jsonl` or `txt`."""
        to = path.with_name(f"{path.name.partition('.')[0]}.{kind}")
        path.rename(to)
        self.texts[to] = self.texts.pop(path)
        self.bad.discard(path)
        return to

    def copy(self, path: Path, label: str) -> Path:
        """Copy a file with its time, as `cp -p` does."""
        to = self.new_path(label, path.name.partition(".")[2])
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
        self.texts[to] = self.texts[path]
        if path in self.bad:
            self.bad.add(to)
        return to

    def swap(self, one: Path, other: Path) -> None:
        """Let two files change their places."""
        aside = self.root / "aside"
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
        self.texts[one], self.texts[other] = self.texts[other], self.texts[one]
        self.bad = {{one: other, other: one}.get(path, path) for path in self.bad}

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()
        del self.texts[path]
        self.bad.discard(path)

    def spoil(self, path: Path) -> None:
        """Damage a file: with some formats that shows at once, with others when it is read, or in a row."""
        whole = path.read_bytes()
        # A full disk cuts files off; a CSV file whose header is damaged has no column `text`.
        text = path.suffix in (".csv", ".txt")
        path.write_bytes(b"\xff" + whole[1:] if text else whole[: len(whole) * 2 // 3])
        self.stamp(path)
        if path.suffix in (".csv", ".gz", ".parquet"):
            self.bad.add(path)
