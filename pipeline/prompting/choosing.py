"""Choose stretches for each repeat bin: read what was drawn until there are enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.prompting.cutting import Cutter, Region, Stretch
from pipeline.prompting.drawing import Candidate
from pipeline.prompting.standing import Place, covered_words, first_places, texts
from pipeline.prompting.words import Reader


@dataclass(frozen=True)
class Tried:
    """What became of a candidate: its stretches, or the reason why there are none.

    `places` are the first ones of a passage, or that of a document.
    """

    candidate: Candidate
    places: tuple[Place, ...]
    stretches: tuple[Stretch, ...]
    problem: str | None


@dataclass(frozen=True)
class Choice:
    """A chosen stretch. `again` counts those of the same document that were chosen before it."""

    tried: Tried
    stretch: Stretch
    again: int


@dataclass
class _Bin:
    # Candidates of a bin, those that were tried first.
    candidates: Sequence[Candidate]
    tried: list[Tried] = field(default_factory=list)

    def next(self, most: int) -> Sequence[Candidate]:
        # Half as many again as are missing, and as many as all before once that was not enough.
        missing = most - sum(not c.again and not c.stretch.predictable for c in ranked(self.tried))
        at = len(self.tried)
        return self.candidates[at : at + max(missing + missing // 2 + 8, at)] if missing > 0 else []


def ranked(tried: Sequence[Tried]) -> list[Choice]:
    """All stretches, the ones to be chosen first.

    Those that foretell themselves are last. Of the others, the first of each document, then the
    second of each, and so on.
    """
    found, used = list[Choice](), Counter[tuple[int, bool]]()
    for each in tried:
        for stretch in each.stretches:
            key = each.candidate.doc_id, stretch.predictable
            found.append(Choice(each, stretch, used[key]))
            used[key] += 1
    return sorted(found, key=lambda choice: (choice.stretch.predictable, choice.again))


def choose(
    run: Path, drawn: Mapping[int, Sequence[Candidate]], per_bin: int, cutter: Cutter
) -> dict[int, list[Tried]]:
    """Try the candidates of each bin in order until enough have a stretch, or all are tried.

    All bins go together, so that a file is read as rarely as possible.

    Raises:
        InputError: see `lookup.document_texts`.
    """
    bins = {low: _Bin(candidates) for low, candidates in drawn.items()}
    while batch := {low: each.next(per_bin) for low, each in bins.items()}:
        wanted = [candidate for each in batch.values() for candidate in each]
        if not wanted:
            break
        done = dict(_try(run, wanted, cutter))
        for low, each in batch.items():
            bins[low].tried += [done[candidate] for candidate in each]
    return {low: each.tried for low, each in bins.items()}


def _try(run: Path, wanted: Sequence[Candidate], cutter: Cutter) -> Iterator[tuple[Candidate, Tried]]:
    places = first_places(run, [c.passage_id for c in wanted if c.passage_id is not None])
    covered = covered_words(run, [c.doc_id for c in wanted if c.passage_id is None])
    of_document: dict[int, list[Candidate]] = {}
    for candidate in wanted:
        of_document.setdefault(candidate.doc_id, []).append(candidate)
    reader = Reader()
    for doc_id, text in texts(run, of_document):
        words = reader.words(text)
        for c in of_document[doc_id]:
            if c.passage_id is None:
                at: tuple[Place, ...] = ()
                regions = _gaps(covered.get(doc_id, []), len(words), cutter.fewest_words)
            else:
                at = tuple(places[c.passage_id])
                regions = [(at[0].word, at[0].word + c.words)]
            stretches, problem = cutter.cut(text, words, regions, c.order)
            yield c, Tried(c, at, tuple(stretches), problem)


def _gaps(covered: Sequence[Region], n_words: int, least: int) -> list[Region]:
    # Between passages: words in none of them, where there are enough in a row.
    found, at = list[Region](), 0
    for first, stop in [*covered, (n_words, n_words)]:
        if first - at >= least:
            found.append((at, first))
        at = stop  # a passage that begins later ends later
    return found
