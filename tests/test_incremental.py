"""An audit with an index gives byte for byte what one without gives, whatever became of the files."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pipeline.readers.formats import format_of, pieces
from pipeline.readers.opening import compression_of
from pipeline.stages.shards import SMALL_FILES
from tests.changing_folder import KINDS, LABELS, POOL
from tests.indexed_nights import EDGE_BYTES, SHARD_BYTES, Nights, quick

NUMBER = st.integers(0, len(POOL) - 1)  # of a text in the pool
FEW = st.lists(NUMBER, max_size=3)
SOME = st.lists(NUMBER, min_size=4, max_size=14)
# More than a shard holds: the whole pool and some of it again.
MANY = NUMBER.map(lambda start: [i % len(POOL) for i in range(start, start + len(POOL) + 9)])
TEXTS = st.one_of(FEW, SOME, MANY)
LABEL, KIND = st.sampled_from(LABELS), st.sampled_from(KINDS)
PLACE = st.integers(0, 1 << 16)


def is_large(path: Path) -> bool:
    """Whether a file shares its shards with no other."""
    kind = format_of(str(path)) or ""
    found = pieces(str(path), kind, path.stat().st_size, SHARD_BYTES)
    return sum(piece.size_bytes for piece in found) * SMALL_FILES >= SHARD_BYTES


def identity(path: Path) -> tuple[object, ...]:
    """What an index may know a file by, and its source."""
    stamp = path.stat().st_mtime_ns if path.stat().st_size > 2 * EDGE_BYTES else 0
    return path.read_bytes(), stamp, format_of(str(path)), compression_of(str(path)), path.parent.name


class ManyNights(RuleBasedStateMachine):
    """Files come, change and go; now and then an audit."""

    def __init__(self) -> None:
        super().__init__()
        self.held = ExitStack()
        self.held.enter_context(quick())
        folder = self.held.enter_context(tempfile.TemporaryDirectory())
        self.nights = Nights(Path(folder))
        self.files = self.nights.files
        self.scanned: Counter[tuple[object, ...]] = Counter()
        self.known: Counter[tuple[object, ...]] | None = None
        self.changed = True

    def teardown(self) -> None:
        try:
            if self.changed and self.files.texts:
                self.audit()
        finally:
            self.held.close()

    def _texts(self, numbers: list[int]) -> list[str]:
        return [POOL[i] for i in numbers]

    def _file(self, place: int) -> Path:
        paths = self.files.paths
        return paths[place % len(paths)]

    @initialize(texts=st.lists(st.tuples(LABEL, KIND, TEXTS), min_size=2, max_size=6))
    def begin(self, texts: list[tuple[str, str, list[int]]]) -> None:
        for label, kind, of_file in texts:
            self.files.add(label, kind, self._texts(of_file))
        self.audit()

    @rule(label=LABEL, kind=KIND, texts=TEXTS)
    def add(self, label: str, kind: str, texts: list[int]) -> None:
        self.files.add(label, kind, self._texts(texts))
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE, texts=FEW)
    def append(self, place: int, texts: list[int]) -> None:
        path = self._file(place)
        self.files.put(path, [*self.files.texts[path], *self._texts(texts)])
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE)
    def put_in_another_order(self, place: int) -> None:
        """Mostly of the same size; mends what was damaged."""
        path = self._file(place)
        self.files.put(path, self.files.texts[path][::-1])
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE, at=PLACE)
    def lose_a_document(self, place: int, at: int) -> None:
        path = self._file(place)
        texts = list(self.files.texts[path])
        if texts:
            texts.pop(at % len(texts))
        self.files.put(path, texts)
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE, label=LABEL)
    def rename(self, place: int, label: str) -> None:
        self.files.rename(self._file(place), label)
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE, kind=st.sampled_from(["jsonl", "txt"]))
    def rename_as(self, place: int, kind: str) -> None:
        if self._file(place).suffix in (".jsonl", ".txt", ".csv"):
            self.files.rename_as(self._file(place), kind)
            self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE, label=LABEL)
    def copy(self, place: int, label: str) -> None:
        self.files.copy(self._file(place), label)
        self.changed = True

    @precondition(lambda self: len(self.files.texts) > 1)
    @rule(one=PLACE, other=PLACE)
    def swap(self, one: int, other: int) -> None:
        of_a_kind = [path for path in self.files.paths if path.suffix == self._file(one).suffix]
        if self._file(one) != of_a_kind[other % len(of_a_kind)]:
            self.files.swap(self._file(one), of_a_kind[other % len(of_a_kind)])
            self.changed = True

    @precondition(lambda self: len(self.files.texts) > 1)
    @rule(place=PLACE)
    def remove(self, place: int) -> None:
        self.files.remove(self._file(place))
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE)
    def touch(self, place: int) -> None:
        self.files.stamp(self._file(place))
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule(place=PLACE)
    def spoil(self, place: int) -> None:
        self.files.spoil(self._file(place))
        self.changed = True

    @precondition(lambda self: self.files.texts)
    @rule()
    def audit(self) -> None:
        self.nights.audit()
        good = [path for path in self.files.paths if path not in self.files.bad]
        large = [path for path in good if is_large(path)]
        there = Counter(identity(path) for path in large)
        read = Counter(identity(path) for path in large if path.name in self.nights.files_read)
        # Those that no earlier audit scanned, and no others; as often as there are copies of one.
        assert read == there - self.scanned
        self.scanned |= there
        if not self.changed and not self.files.bad:
            assert (self.nights.read, self.nights.again) == ([], [])
        self.check_new_files(good)
        self.changed = False

    def check_new_files(self, good: list[Path]) -> None:
        there = Counter(identity(path)[:-1] for path in good)
        if self.known is None:
            assert self.nights.new is None
        else:
            assert self.nights.new is not None
            assert Counter(identity(Path(path))[:-1] for path in self.nights.new) == there - self.known
        self.known = there


TestManyNights = ManyNights.TestCase
TestManyNights.settings = settings(
    max_examples=4,
    stateful_step_count=16,
    phases=[Phase.explicit, Phase.generate],  # to make an example smaller takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class ManyMoreNights(ManyNights):
    """The same for longer, with examples that no run had before."""


TestManyMoreNights = pytest.mark.slow(pytest.mark.timeout(1800)(ManyMoreNights.TestCase))
TestManyMoreNights.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
