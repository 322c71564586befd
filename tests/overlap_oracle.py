"""What sources or licences share, by the definition of each scope, from who holds each group.

A group is a distinct text, a near cluster or a passage; its members are documents or, of a
passage, places. Members come from the texts themselves, or from the tables of a run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.normalise import normalised, tokens
from tests.audits import Audited, Row
from tests.exposure_oracle import Document
from tests.passage_tables import Corpus
from tests.passage_tables import Document as Unlicensed

KINDS = ("licence", "source")
GRAINS = ("exact", "near", "passage")
LARGEST = 200  # names beyond so many are one
Name = str | None
Scope = tuple[str, int, int | None]  # scope, rank, rank of the other


class Member(NamedTuple):
    """A document of a group, or a place of a passage: the name it stands under, the tokens it counts."""

    group: Hashable
    name: Name
    tokens: int


class Tally(NamedTuple):
    """Groups of a scope; the documents of a name in them, or places; their tokens."""

    groups: int = 0
    documents: int = 0
    tokens: int = 0

    def plus(self, documents: int, n_tokens: int) -> Tally:
        """One more group."""
        return Tally(self.groups + 1, self.documents + documents, self.tokens + n_tokens)


def ranks(n_tokens: Mapping[Name, int], largest: int = LARGEST) -> dict[Name, int]:
    """The rank of each name by its tokens, equal ones in order of the names; -1 for none."""
    names = sorted((name for name in n_tokens if name is not None), key=lambda name: (-n_tokens[name], name))
    return {None: -1, **{name: min(i, largest) for i, name in enumerate(names)}}


def scopes(members: Iterable[Member], rank_of: Mapping[Name, int]) -> dict[Scope, Tally]:
    """What each rank has in each scope; what two names of one rank share is across, too."""
    held: dict[Hashable, list[Member]] = defaultdict(list)
    for member in members:
        held[member.group].append(member)
    found: dict[Scope, Tally] = defaultdict(Tally)
    for group in held.values():
        by_rank: dict[int, list[int]] = defaultdict(list)
        for member in group:
            by_rank[rank_of[member.name]].append(member.tokens)
        crosses = len({member.name for member in group}) > 1
        for rank, mine in by_rank.items():
            where: list[Scope] = [("pair", rank, other) for other in by_rank if other != rank]
            if len(mine) > 1:
                where.append(("inside", rank, rank))
            if crosses:
                where.append(("across", rank, None))
            if len(group) > 1:
                where.append(("anywhere", rank, None))
            for scope in where:
                found[scope] = found[scope].plus(len(mine), sum(mine))
    return dict(found)


def rows(
    kind: str, grain: str, members: Iterable[Member], n_tokens: Mapping[Name, int], largest: int = LARGEST
) -> list[Row]:
    """The rows of the table for one kind and grain.

    Args:
        n_tokens: of each name, in the whole corpus.
    """
    rank_of = ranks(n_tokens, largest)
    name_of = {rank: name for name, rank in rank_of.items() if 0 <= rank < largest}
    totals: Counter[int] = Counter()
    for name, own in n_tokens.items():
        totals[rank_of[name]] += own
    found = scopes(members, rank_of)
    return [
        {
            "kind": kind,
            "grain": grain,
            "scope": scope,
            "rank": rank,
            "name": name_of.get(rank),
            "other_rank": other,
            "other": None if other is None else name_of.get(other),
            "groups": tally.groups,
            "documents": tally.documents,
            "tokens": tally.tokens,
            "tokens_fraction": tally.tokens / totals[rank] if totals[rank] else None,
        }
        for (scope, rank, other), tally in sorted(
            found.items(), key=lambda each: (each[0][0], each[0][1], -2 if each[0][2] is None else each[0][2])
        )
    ]


def label(document: Document, kind: str) -> Name:
    """The name of a document."""
    return document.source if kind == "source" else document.licence


def tokens_of_names(documents: Iterable[Document], kind: str) -> dict[Name, int]:
    """The tokens of each name."""
    found: Counter[Name] = Counter()
    for document in documents:
        found[label(document, kind)] += len(tokens(document.text))
    return dict(found)


def members(
    documents: Sequence[Document], kind: str, clusters: Mapping[int, int | None], w: int
) -> dict[str, list[Member]]:
    """The members of all groups of each grain, from the texts.

    Args:
        clusters: the near cluster of each doc_id, as a run found it. w: tokens of a window.
    """
    found: dict[str, list[Member]] = {grain: [] for grain in GRAINS}
    for document in documents:
        name, text = label(document, kind), normalised(document.text)
        n_tokens = len(tokens(document.text))
        if text:
            found["exact"].append(Member(text, name, n_tokens))
        if clusters[document.doc_id] is not None:
            found["near"].append(Member(clusters[document.doc_id], name, n_tokens))
    of_passages = Corpus([Unlicensed(document.doc_id, document.text) for document in documents], w)
    for words, places in of_passages.passages.items():
        for d, _ in places:
            found["passage"].append(Member(words, label(documents[d], kind), len(words) - w + 1))
    return found


def members_in_tables(audited: Audited, kind: str, w: int) -> dict[str, list[Member]]:
    """The same from the tables `documents` and `spans` of a run."""
    found: dict[str, list[Member]] = {grain: [] for grain in GRAINS}
    names: dict[int, list[Name]] = defaultdict(list)
    for row in audited.documents:
        if row["status"] != "empty":
            names[row["text_id"]].append(row[kind])
            found["exact"].append(Member(row["text_id"], row[kind], row["n_tokens"]))
        if row["cluster_id"] is not None:
            found["near"].append(Member(row["cluster_id"], row[kind], row["n_tokens"]))
    for span in audited.rows("spans"):
        for name in names[span["text_id"]]:
            found["passage"].append(Member(span["passage_id"], name, span["tokens"] - w + 1))
    return found


def across_names(found: Iterable[Member]) -> int:
    """How many groups stand under two names or more; none is one, too."""
    held: dict[Hashable, set[Name]] = defaultdict(set)
    for member in found:
        held[member.group].add(member.name)
    return sum(len(names) > 1 for names in held.values())
