"""What the tables of a run must say of the passages of a corpus, from the definition alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pipeline.normalise import token_places, tokens
from tests import oracles
from tests import passage_oracle as oracle
from tests.audits import Audited, Row

# Lower end and name of each repeat bin.
BINS = {1: "1", 2: "2-5", 6: "6-20", 21: "21-100", 101: "101-1000", 1001: ">1000"}
TIERS = {1: "baseline", 2: "low", 6: "elevated", 21: "high", 101: "very high", 1001: "very high"}
TEXT_CHARACTERS = 500
DOCUMENT_COLUMNS = ("doc_id", "repeated_tokens", "repeated_fraction", "passage_max_occurrences")


class Document(NamedTuple):
    """A document as it was written."""

    doc_id: int
    text: str
    source: str | None = None


def of(texts: Iterable[str], sources: Sequence[str | None] | None = None) -> list[Document]:
    """The documents of one file."""
    each = list(texts)
    return [
        Document(*known) for known in zip(range(len(each)), each, sources or [None] * len(each), strict=True)
    ]


def bin_of(occurrences: int) -> int:
    """The lower end of the bin of a number of places."""
    return max(low for low in BINS if low <= occurrences)


@dataclass(frozen=True)
class Corpus:
    """Documents in order of their ids, and the passages of `w` tokens or more in them."""

    documents: Sequence[Document]
    w: int

    @cached_property
    def words(self) -> list[list[str]]:
        """The tokens of each document."""
        return [tokens(document.text) for document in self.documents]

    @cached_property
    def passages(self) -> dict[oracle.Words, list[oracle.Place]]:
        """Every passage with its places."""
        return oracle.passages(self.words, self.w)

    @cached_property
    def first(self) -> list[int]:
        """For each document the first with the same normalised text."""
        seen: dict[oracle.Words, int] = {}
        return [seen.setdefault(tuple(words), d) for d, words in enumerate(self.words)]

    @cached_property
    def ranges(self) -> list[list[tuple[int, int]]]:
        """The bytes of each token of each document."""
        return [
            [(begin, end) for _, begin, end in token_places(document.text)] for document in self.documents
        ]

    @cached_property
    def most(self) -> list[list[int]]:
        """How often the most frequent passage over each token occurs; 1 where none is."""
        return oracle.most_occurrences(self.passages, self.words)

    def bytes_at(self, place: oracle.Place, length: int) -> tuple[int, int]:
        """The bytes of a run of tokens."""
        d, start = place
        return self.ranges[d][start][0], self.ranges[d][start + length - 1][1]

    def passage_rows(self) -> list[Row]:
        """The table of passages, where every document is shown once and no model is known."""
        rows = []
        for passage, places in self.passages.items():
            inside = {d for d, _ in places}
            first = self.documents[places[0][0]]
            start, end = self.bytes_at(places[0], len(passage))
            predictable = oracle.predictable(passage, self.w)
            rows.append({
                "passage_id": oracles.text_id(" ".join(passage)),
                "tokens": len(passage),
                "occurrences": len(places),
                "documents": len(inside),
                "texts": len({self.first[d] for d in inside}),
                "sources": len({self.documents[d].source for d in inside} - {None}),
                "predictable": predictable,
                "exposures": float(len(places)),
                "risk_tier": None if predictable else TIERS[bin_of(len(places))],
                "evidence_low": None,
                "evidence_high": None,
                "evidence_reason": "predictable" if predictable else "no model size is configured",
                "doc_id": first.doc_id,
                "byte_start": start,
                "byte_end": end,
                "text": first.text.encode()[start:end].decode()[:TEXT_CHARACTERS],
            })  # fmt: skip
        return sorted(rows, key=lambda row: row["passage_id"])

    def span_rows(self) -> list[Row]:
        """The table of spans."""
        copies = Counter(self.first)
        rows = []
        for passage, places in self.passages.items():
            for d, token_start in places:
                if self.first[d] == d:
                    start, end = self.bytes_at((d, token_start), len(passage))
                    rows.append({
                        "doc_id": self.documents[d].doc_id,
                        "text_id": oracles.text_id(self.documents[d].text),
                        "copies": copies[d],
                        "byte_start": start,
                        "byte_end": end,
                        "token_start": token_start,
                        "tokens": len(passage),
                        "passage_id": oracles.text_id(" ".join(passage)),
                        "occurrences": len(places),
                    })  # fmt: skip
        return sorted(rows, key=lambda row: (row["doc_id"], row["token_start"]))

    def document_rows(self) -> list[Row]:
        """The columns of the documents that tell of passages."""
        rows = []
        for document, most in zip(self.documents, self.most, strict=True):
            repeated = sum(occurrences > 1 for occurrences in most)
            fraction = repeated / len(most) if most else 0.0
            values = (document.doc_id, repeated, fraction, max(most, default=1))
            rows.append(dict(zip(DOCUMENT_COLUMNS, values, strict=True)))
        return rows

    def most_of_bytes(self, d: int) -> list[int]:
        """How often the most frequent passage over each byte of a document occurs; 1 where none is."""
        most = [1] * len(self.documents[d].text.encode())
        for passage, places in self.passages.items():
            for place in places:
                if place[0] == d:
                    for byte in range(*self.bytes_at(place, len(passage))):
                        most[byte] = max(most[byte], len(places))
        return most

    def histogram_rows(self) -> list[Row]:
        """The rows of the histogram at this grain."""
        documents = Counter(bin_of(max(most, default=1)) for most in self.most)
        passages = Counter(bin_of(len(places)) for places in self.passages.values())
        of_tokens = Counter(bin_of(occurrences) for most in self.most for occurrences in most)
        of_bytes: Counter[int] = Counter()
        for first, copies in Counter(self.first).items():
            for occurrences in self.most_of_bytes(first):
                of_bytes[bin_of(occurrences)] += copies * (occurrences > 1)
        n_bytes = sum(len(document.text.encode()) for document in self.documents)
        of_bytes[1] = max(0, n_bytes - of_bytes.total())
        return [
            {
                "grain": "passage",
                "bin": name,
                "copies_min": low,
                "documents": documents[low],
                "groups": None,
                "surplus_documents": None,
                "passages": passages[low],
                "tokens": of_tokens[low],
                "bytes": of_bytes[low],
            }
            for low, name in BINS.items()
        ]

    def by_source(self) -> dict[str | None, tuple[int, float]]:
        """Documents with a passage, and the share of the tokens in one, of each source."""
        mine = defaultdict(list)
        for document, most in zip(self.documents, self.most, strict=True):
            mine[document.source].append([occurrences > 1 for occurrences in most])
        return {
            source: (sum(map(any, each)), sum(map(sum, each)) / max(1, sum(map(len, each))))
            for source, each in mine.items()
        }

    def metrics(self) -> dict[str, float | None]:
        """The headline figures; None for what is not defined."""
        repeated = [sum(occurrences > 1 for occurrences in most) for most in self.most]
        n_tokens = sum(map(len, self.words))
        return {
            "passages": len(self.passages),
            "predictable_passages": sum(oracle.predictable(passage, self.w) for passage in self.passages),
            "passage_spans": len(self.span_rows()),
            "passage_repeated_documents": sum(count > 0 for count in repeated),
            "passage_repeated_tokens": sum(repeated),
            "passage_repeated_tokens_fraction": sum(repeated) / n_tokens if n_tokens else None,
            "passage_most_occurrences": max(map(len, self.passages.values()), default=None),
            "passage_most_tokens": max(map(len, self.passages), default=None),
        }


def check(audited: Audited, documents: Sequence[Document], w: int) -> Corpus:
    """Compare whatever a run says of passages with the definition."""
    wanted = Corpus(documents, w)
    assert audited.rows("passages") == wanted.passage_rows()
    assert audited.rows("spans") == wanted.span_rows()
    assert [{name: row[name] for name in DOCUMENT_COLUMNS} for row in audited.documents] == (
        wanted.document_rows()
    )
    histogram = audited.rows("summary/histogram")
    assert [row for row in histogram if row["grain"] == "passage"] == wanted.histogram_rows()
    assert {row["passages"] for row in histogram if row["grain"] != "passage"} == {None}
    assert all(row["groups"] is not None for row in histogram if row["grain"] != "passage")
    assert {
        row["source"]: (row["passage_repeated_documents"], row["passage_repeated_tokens_fraction"])
        for row in audited.rows("summary/sources")
    } == wanted.by_source()
    values = {row["name"]: row["value"] for row in audited.rows("summary/metrics")}
    figures = wanted.metrics()
    assert {name: values[name] for name in figures} == figures
    check_slices(audited, documents, w)
    return wanted


def check_slices(audited: Audited, documents: Sequence[Document], w: int) -> None:
    """The bytes of every span, as they stand in the original text, hold the words of its passage.

    A character that is more than one token may bring others of its tokens along.
    """
    text = {document.doc_id: document.text for document in documents}
    ids = {passage["passage_id"]: passage["tokens"] for passage in audited.rows("passages")}
    for span in audited.rows("spans"):
        held = tokens(text[span["doc_id"]].encode()[span["byte_start"] : span["byte_end"]].decode())
        assert span["tokens"] == ids[span["passage_id"]] >= w
        assert span["passage_id"] in {
            oracles.text_id(" ".join(run)) for run in oracle.windows(held, span["tokens"])
        }
