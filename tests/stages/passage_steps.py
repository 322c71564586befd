"""Calls the stages of the passage grain one after the other, as a run does, but on a few texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import KeyRange, key_ranges
from pipeline.normalise import tokens
from pipeline.risk import evidence
from pipeline.stages.cutting import Cut, cut_stretches
from pipeline.stages.parts import doc_ranges
from pipeline.stages.passages import Exposing, PassagesResult, most_covering_of, write_passages
from pipeline.stages.scan import Segment
from pipeline.stages.spans import SpansResult, write_spans
from pipeline.stages.survivors import Survivors, find_survivors
from pipeline.stages.texts import TextsResult
from pipeline.stages.unitigs import judge_windows
from pipeline.stages.windows import Chunk, read_stretches
from tests import passage_tables
from tests.stages.steps import BY_FILE, PARAMETERS, Corpus, grouped, scanned

W = 8
PASSAGE_PARAMETERS = replace(PARAMETERS, passage_tokens=W)
Texts = Mapping[str, Sequence[str | None]] | Sequence[str | None]


@dataclass(frozen=True)
class Survived:
    """A corpus with its distinct texts and surviving anchors."""

    corpus: Corpus
    keys: list[KeyRange]
    texts: list[TextsResult]
    survivors: list[Survivors]
    labelled: bool = True

    @property
    def work(self) -> Path:
        """The folder of what comes next."""
        return self.corpus.folder / f"passages-{len(self.keys)}"


def survived(corpus: Corpus, parts: int = 3) -> Survived:
    """Group the texts and find the anchors that repeat, in `parts` ranges of keys."""
    keys, work = key_ranges(parts), corpus.folder / f"survivors-{parts}"
    found = [
        find_survivors(span, str(work / str(i)), segments=corpus.segments) for i, span in enumerate(keys)
    ]
    return Survived(corpus, keys, grouped(corpus, keys), found)


def segments_of(corpus: Corpus, shard: int) -> list[tuple[int, Segment, None]]:
    """The segments of a shard with their numbers; nothing is known of them."""
    return [(i, segment, None) for i, segment in enumerate(corpus.segments) if segment.shard == shard]


def read_again(found: Survived, shards: Sequence[int] | None = None) -> list[Chunk]:
    """Read the texts that hold a survivor, of all shards or of some."""
    corpus = found.corpus
    return [
        chunk
        for shard in corpus.shards
        if shards is None or shard.number in shards
        for chunk in read_stretches(
            shard,
            segments_of(corpus, shard.number),
            str(found.work / "windows" / str(shard.number)),
            places=corpus.places,
            survivors=[part.path for part in found.survivors],
            whole=True,
            repeats=[part.repeats for part in found.texts],
            parameters=corpus.parameters,
        )
    ]


def cut_up(found: Survived, chunks: Sequence[Chunk]) -> list[Cut]:
    """Judge the windows and cut the stretches."""
    judged = [
        judge_windows(span, str(found.work / "judged" / str(i)), chunks=chunks)[0]
        for i, span in enumerate(found.keys)
    ]
    corpus = found.corpus
    cuts = [
        cut_stretches(
            i,
            chunk,
            corpus.shards[chunk.shard],
            str(found.work / "cut" / str(i)),
            judged=judged,
            places=corpus.places,
            text_labels=[part.labels for part in found.texts] if found.labelled else None,
            parameters=corpus.parameters,
        )
        for i, chunk in enumerate(chunks)
    ]
    return [cut for cut in cuts if cut.count]


@dataclass(frozen=True)
class Passaged:
    """The same with everything that was found out about passages."""

    survived: Survived
    chunks: list[Chunk]
    cuts: list[Cut]
    outputs: list[str]
    passages: list[PassagesResult]
    span_outputs: list[str]
    spans: list[SpansResult]


def passaged(
    found: Survived,
    part_rows: int = 4,
    chunks: Sequence[Chunk] | None = None,
    model: float | None = None,
) -> Passaged:
    """Read, judge, cut, and write the tables, spans in parts of a few documents.

    model: its parameters, if it is known."""
    corpus = found.corpus
    read = read_again(found) if chunks is None else list(chunks)
    cuts = cut_up(found, read)
    exposing = Exposing(corpus.epochs, evidence(model, None), found.labelled)
    outputs, passages = _written(
        found.keys,
        found.work / "passages",
        lambda *where: write_passages(*where, cuts=cuts, exposing=exposing),
    )
    ranges = doc_ranges(corpus.segments, part_rows, corpus.places) if corpus.segments else []
    span_outputs, spans = _written(
        ranges,
        found.work / "spans",
        lambda *where: write_spans(*where, **spans_of(cuts, passages)),
    )
    return Passaged(found, read, cuts, outputs, passages, span_outputs, spans)


def spans_of(cuts: Sequence[Cut], passages: Sequence[PassagesResult]) -> dict[str, Any]:
    """What `write_spans` is given beside its range."""
    top = [passage for passage, _, _ in most_covering_of(part.top for part in passages)]
    return {"cuts": cuts, "occurrences": [part.occurrences for part in passages], "top": top}


def _written(
    ranges: Sequence[KeyRange], folder: Path, write: Callable[[KeyRange, str, str], Any]
) -> tuple[list[str], list[Any]]:
    # Nothing is written where there is nothing.
    outputs = [str(folder / f"part-{i}.parquet") for i in range(len(ranges))]
    results = [
        write(span, output, str(folder / str(i)))
        for i, (span, output) in enumerate(zip(ranges, outputs, strict=True))
    ]
    return [output for output in outputs if Path(output).exists()], results


def passages_of(folder: Path, texts: Texts, parts: int = 3, **cutting: Any) -> Passaged:
    """All of the above; the source of a text is the name of its file."""
    corpus = scanned(folder, texts, parameters=PASSAGE_PARAMETERS, source=BY_FILE, **cutting)
    return passaged(survived(corpus, parts))


def definition(corpus: Corpus) -> passage_tables.Corpus:
    """What the tables must say."""
    names = [Path(file.uri).stem for file in corpus.files]
    documents = [
        passage_tables.Document(number, text, names[number >> 32])
        for number, text in sorted(corpus.texts.items())
        if text is not None
    ]
    return passage_tables.Corpus(documents, corpus.parameters.passage_tokens)


def wanted_texts(corpus: Corpus) -> set[int]:
    """The first document of each text in which a window stands that stands twice in the corpus."""
    there = definition(corpus)
    seen: dict[str, int] = {}
    for document in there.documents:
        seen.setdefault(" ".join(tokens(document.text)), document.doc_id)
    firsts = set(seen.values())
    held = {there.documents[d].doc_id for places in there.passages.values() for d, _ in places}
    return held & firsts
