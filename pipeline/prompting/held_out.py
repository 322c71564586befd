"""Draw stretches from texts that a model was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from xxhash import xxh3_64_intdigest

from pipeline.prompting.cutting import Cutter, Stretch
from pipeline.prompting.drawing import scrambled
from pipeline.prompting.words import Reader
from pipeline.readers.formats import pieces, read
from pipeline.readers.rows import Columns
from pipeline.stages.inputs import check_unchanged, list_files

TRIES = 5  # stretches for each control that is wanted: some may stand in the corpus
_WHOLE_FILE = 1 << 62
_Rank = tuple[bool, int, int]  # predictable, number in its text, place of the text in the order


@dataclass(frozen=True)
class HeldOut:
    """Stretches in the order in which they are to be used; texts, how many of them held none, rows
    without a usable text, and how many stretches there were besides."""

    stretches: tuple[Stretch, ...]
    texts: int
    without: int
    rejected: int
    beyond: int


@dataclass
class _Pool:
    # The first of all stretches so far, each set of words once.
    most: int
    held: dict[str, tuple[_Rank, Stretch]] = field(default_factory=dict)
    dropped: int = 0

    def add(self, rank: _Rank, stretch: Stretch) -> None:
        before = self.held.get(stretch.whole)
        if before is None or rank < before[0]:
            self.held[stretch.whole] = rank, stretch
        if len(self.held) > 2 * self.most + 1000:
            self.trim()

    def trim(self) -> None:
        ranked = sorted(self.held.items(), key=lambda item: item[1][0])
        self.dropped += max(len(ranked) - self.most, 0)
        self.held = dict(ranked[: self.most])


def draw_held_out(
    patterns: Sequence[str], text_column: str, per_bin: int, seed: int, cutter: Cutter
) -> HeldOut:
    """Stretches for `per_bin` controls; of each text one while there are others.

    Args:
        patterns: files, folders or globs. text_column: of the texts.

    Raises:
        ConfigError: a pattern names no file. InputError: a file cannot be read.
    """
    pool, reader = _Pool(TRIES * per_bin), Reader()
    texts = without = rejected = 0
    for text in _texts(patterns, Columns(text=text_column)):
        try:
            words = None if text is None else reader.words(text)
        except UnicodeDecodeError:
            words = None
        if text is None or words is None:
            rejected += 1
            continue
        texts += 1
        order = int(scrambled(np.array([xxh3_64_intdigest(words.text.tobytes())], np.uint64), seed)[0])
        stretches, _ = cutter.cut(text, words, [(0, len(words))], order)
        without += not stretches
        for number, stretch in enumerate(stretches):
            pool.add((stretch.predictable, number, order), stretch)
    pool.trim()
    return HeldOut(tuple(each for _, each in pool.held.values()), texts, without, rejected, pool.dropped)


def _texts(patterns: Sequence[str], columns: Columns) -> Iterator[bytes | None]:
    # None for a row without a usable text.
    for file in list_files(patterns, "auto").files:
        for piece in pieces(file.uri, file.format, file.size_bytes, _WHOLE_FILE):
            for rows in read(piece, columns):
                yield from (None for _ in rows.rejects)
                yield from (text.as_py() for text in rows.texts)
        check_unchanged(file)
