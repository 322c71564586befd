"""How much of the true near-duplicates a tool's answer holds, as recall, precision and counts.

A tool answers with a group for each document or, if it only says keep or remove, with a bool for
each document. The two kinds of answer are measured differently, see `score_groups` and
`score_kept`; `kept_of_groups` turns the first kind into the second, for a comparison on one scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from scipy.sparse import csr_array
from truth import Ints, Truth

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """A tool's answer beside the truth.

    findable: what could have been found: distinct texts with a partner (groups), or removable
        documents (kept).
    found: how many of these were found.
    called: what the tool called duplicate: pairs of a distinct text and its group (groups), or
        removed documents (kept).
    right: how many of these have a true partner.
    removable: documents beyond the first of each of the tool's groups, or removed documents.
    true_removable: the same of the truth's groups.
    """

    findable: int
    found: int
    called: int
    right: int
    removable: int
    true_removable: int

    @property
    def recall(self) -> float:
        """Found share of what is findable, 0 to 1; 1 where there is nothing to find."""
        return self.found / self.findable if self.findable else 1.0

    @property
    def precision(self) -> float:
        """Right share of what was called duplicate, 0 to 1; 1 where nothing was called so."""
        return self.right / self.called if self.called else 1.0


def read_answer(path: Path | str) -> Ints | Bools:
    """Read what a peer script wrote: (documents,) groups as int64, or kept as bool.

    Raises ValueError where positions are not 0, 1, 2, ...
    """
    table = pq.read_table(path)
    positions = table.column("position").to_numpy()
    if not np.array_equal(positions, np.arange(len(table))):
        raise ValueError(f"{path}: positions: got another order, need 0 to {len(table) - 1}")
    name = "group" if "group" in table.column_names else "kept"
    answer: Ints | Bools = table.column(name).to_numpy()
    return answer


def recall_precision(answer: Ints | Bools, truth: Truth) -> Score:
    """Score an answer of either kind.

    answer: (documents,) int64 groups, negative for none, or bool, whether a document is kept.
    """
    if answer.shape != truth.text_of_document.shape:
        raise ValueError(f"answer: got {answer.shape}, need {truth.text_of_document.shape}")
    if answer.dtype == bool:
        return score_kept(answer.astype(bool), truth)
    return score_groups(answer.astype(np.int64), truth)


def score_groups(groups: Ints, truth: Truth) -> Score:
    """Score groups of documents.

    A distinct text with a partner (another text at or above the threshold) is found if one of its
    documents is in one group with a document of a partner. A text and its group, of two or more
    documents, are right if the group holds a partner or a second document of the text. Documents
    without tokens have no partner: a group that holds one is called once for it, never right.
    """
    documents = np.flatnonzero(groups >= 0)
    labels, group = np.unique(groups[documents], return_inverse=True)
    sizes = np.bincount(group, minlength=len(labels))
    several = sizes[group] > 1
    documents, group = documents[several], group[several]
    text = truth.text_of_document[documents]
    empty_calls = len(np.unique(group[text < 0]))
    text, group = text[text >= 0], group[text >= 0]
    shape = (len(truth.component), len(labels))
    copies = csr_array((np.ones(len(text), np.int64), (text, group)), shape=shape)
    member = copies > 0
    together = (member[truth.left] * member[truth.right]).tocoo()
    partners = np.concatenate([truth.left[together.row], truth.right[together.row]])
    beside_partner = (partners, np.concatenate([together.col, together.col]))
    right = csr_array((np.ones(len(partners), bool), beside_partner), shape=shape) + (copies > 1)
    return Score(
        findable=len(np.unique(np.concatenate([truth.left, truth.right]))),
        found=len(np.unique(partners)),
        called=member.nnz + empty_calls,
        right=(right > 0).nnz,
        removable=int((sizes - 1).sum()),
        true_removable=truth.removable,
    )


def score_kept(kept: Bools, truth: Truth) -> Score:
    """Score what a tool keeps.

    Findable are the documents beyond the first of each true group; of each group as many are found
    as the tool removes, one document of the group excepted. A removed document is right if it has a
    partner or a second copy anywhere in the corpus.
    """
    text = truth.text_of_document
    removed = text[~kept]
    removed_texts = removed[removed >= 0]
    has_partner = np.zeros(len(truth.component), bool)
    has_partner[truth.left] = has_partner[truth.right] = True
    has_partner |= np.bincount(text[text >= 0], minlength=len(truth.component)) > 1
    in_group = np.bincount(truth.component[text[text >= 0]], minlength=len(truth.component))
    removed_of = np.bincount(truth.component[removed_texts], minlength=len(truth.component))
    return Score(
        findable=truth.removable,
        found=int(np.minimum(removed_of, np.maximum(in_group - 1, 0)).sum()),
        called=len(removed),
        right=int(has_partner[removed_texts].sum()),
        removable=len(removed),
        true_removable=truth.removable,
    )


def kept_of_groups(groups: Ints) -> Bools:
    """Keep the first document of each group and every document without one."""
    kept = groups < 0
    documents = np.flatnonzero(groups >= 0)
    kept[documents[np.unique(groups[documents], return_index=True)[1]]] = True
    return kept
