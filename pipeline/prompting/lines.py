"""Write prompts as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xxhash import xxh3_64_hexdigest

from pipeline.prompting.choosing import Choice
from pipeline.prompting.cutting import Stretch
from pipeline.prompting.standing import Place, documents, texts, with_copies
from pipeline.prompting.words import Reader
from pipeline.schemas import BINS

HELD_OUT, SPLICED = "held-out", "spliced"
CONTROL_BIN = "0"
_NAMES = dict(BINS)


@dataclass(frozen=True)
class Standing:
    """A place of a prompt: the document, and the bytes of prefix and suffix in it."""

    doc_id: int
    begin: int
    end: int


def prompt_lines(run: Path, choices: Sequence[Choice], tokenizer: str) -> list[str]:
    """The lines of chosen stretches, with the places where they stand.

    Raises:
        InputError: see `lookup.document_texts`.
    """
    places = _standing(run, choices)
    of = documents(run, {at.doc_id for each in places for at in each})
    lines = []
    for choice, each in zip(choices, places, strict=True):
        candidate = choice.tried.candidate
        fields = {
            "count": candidate.count,
            "bin": _NAMES[candidate.low],
            "exposures": candidate.exposures,
            "control": None,
            "passage_id": None if candidate.passage_id is None else str(candidate.passage_id),
            "places": [
                {**_of(of[at.doc_id]), "byte_start": at.begin, "byte_end": at.end} for at in each
            ],
            "n_places": candidate.count,
        }  # fmt: skip
        lines.append(_line(choice.stretch, tokenizer, fields))
    return lines


def _of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("uri", "row", "id")}


def control_lines(stretches: Sequence[Stretch], kind: str, tokenizer: str) -> list[str]:
    """The lines of controls, which stand nowhere in the corpus."""
    fields = {
        "count": 0,
        "bin": CONTROL_BIN,
        "exposures": 0.0,
        "control": kind,
        "passage_id": None,
        "places": [],
        "n_places": 0,
    }
    return [_line(stretch, tokenizer, fields) for stretch in stretches]


def _line(stretch: Stretch, tokenizer: str, fields: Mapping[str, object]) -> str:
    content = {"prefix": stretch.prefix, "suffix": stretch.suffix, "tokenizer": tokenizer}
    line = {
        # Of the content: the same prompt has the same name whatever the seed and the run.
        "prompt_id": xxh3_64_hexdigest(json.dumps(content).encode()),
        **content,
        "prefix_ids": stretch.prefix_ids,
        "suffix_ids": stretch.suffix_ids,
        "predictable": stretch.predictable,
        **fields,
    }
    # As ASCII: no terminal obeys what a text may hold, and no reader takes U+2028 for a line's end.
    return json.dumps(line) + "\n"


def spliced(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """Prefixes with the suffixes of others: texts that occur nowhere, made of text that occurs once.

    A prefix has one continuation, which the suffix of another is not. Where the words of the two
    cannot be told apart, as of suffixes within one word, nothing is spliced.
    """
    whole = [each for each in stretches if not each.predictable]
    reader, found = Reader(), list[Stretch]()
    for one, other in zip(whole, whole[1:] + whole[:1], strict=True):
        if len(found) < most and _differ(reader, one, other):
            found.append(replace(one, suffix=other.suffix, suffix_ids=other.suffix_ids))
    return found


def _differ(reader: Reader, one: Stretch, other: Stretch) -> bool:
    # The last word of each may go on behind the suffix, so it is not compared.
    its_own, its_other = (
        reader.words((one.prefix + suffix).encode()).text.tobytes().split(b" ")[:-2]
        for suffix in (one.suffix, other.suffix)
    )
    return any(a != b for a, b in zip(its_own, its_other, strict=False))


def _standing(run: Path, choices: Sequence[Choice]) -> list[list[Standing]]:
    # In the first document prefix and suffix to the byte; in others the words that they are of.
    passages = iter(with_copies(run, [c.tried.places for c in choices if c.tried.places]))
    places = [next(passages) if c.tried.places else [] for c in choices]
    wanted: dict[int, list[tuple[int, int, Place]]] = {}
    found: list[list[Standing]] = []
    for number, (choice, each) in enumerate(zip(choices, places, strict=True)):
        found.append([Standing(choice.tried.candidate.doc_id, *choice.stretch.place)])
        for i, place in enumerate(each[1:], 1):
            found[-1].append(Standing(place.doc_id, 0, 0))
            wanted.setdefault(place.doc_id, []).append((number, i, place))
    reader = Reader()
    for doc_id, text in texts(run, wanted):
        words = reader.words(text)
        for number, i, place in wanted[doc_id]:
            first, stop = (
                place.word + word - places[number][0].word for word in choices[number].stretch.words
            )
            found[number][i] = Standing(doc_id, int(words.begins[first]), int(words.stops[stop - 1]))
    return found
