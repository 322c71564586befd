"""What published studies say that repetition does.

The one place of these numbers; nothing else in the project states a figure of a study. Each carries
its source and the kind of evidence: P stated in the paper, F read off a figure (error about 0.02),
D computed from data the authors released, N second-hand.

There is no single percentage. At about 100 copies and 1.3 to 1.5 billion parameters the share of
50-token continuations reproduced word for word is 47 % (GPT-Neo on the Pile), 11 % (C4) or 7 % (OPT)
(Carlini et al. 2023, arXiv 2202.07646, F), because copies count relative to the size of the corpus:
64 copies in 100 billion training tokens give 86 to 89 % in a model of 8 billion parameters, 21 to
24 % in 500 billion (Hubble, arXiv 2510.19811, F). So an exposure becomes a tier and an interval.

Not merged with it: text generated without a prompt. There 10 copies appear about 1000 times as often
as one (Kandpal et al. 2022, arXiv 2202.06539, P), which is another law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.schemas import BINS

Floats = NDArray[np.float64]
Range = tuple[float, float]

# One a bin of exposures. Why the bins end where they do: over 5 copies is "recitation" (Prashanth et
# al. 2024, N); under 8 copies a controlled study saw no 50 tokens recalled word for word (Xu et al.
# 2025, arXiv 2505.13171, P); above about 100 copies de-duplication stops helping (Lee et al. 2022,
# arXiv 2107.06499; Carlini et al. 2023, arXiv 2202.07646; N), and nearly all images extracted from a
# diffusion model had 100 copies or more (Carlini et al. 2023, arXiv 2301.13188, N).
TIERS = ("baseline", "low", "elevated", "high", "very high", "very high")

_EDGES = np.array([low for low, _ in BINS[1:]], np.float64)


def bin_of(exposures: Floats) -> NDArray[np.int64]:
    """The bin of each number of exposures, as an index into `BINS` and `TIERS`.

    Exposures are rounded down: 5.99 lies in 2-5. Below 1 lies in the first bin.

    Args:
        exposures: shape (n,).

    Raises:
        ValueError: one is NaN, which would otherwise rank above all.
    """
    if np.isnan(exposures).any():
        raise ValueError("exposures that are not a number have no bin")
    return np.searchsorted(_EDGES, exposures, side="right").astype(np.int64)


def _row(*values: float) -> Floats:
    row = np.array(values)
    row.setflags(write=False)  # shared by all who import it
    return row


# Worth of a near copy, as a share of an exact one, by the share of tokens that differ; lowest and
# highest of the models measured. Mosaic Memory, arXiv 2405.15523, D.
WORTH_AT = _row(0, 0.01, 0.05, 0.10, 0.15, 0.20, 0.25, 0.50, 0.75, 1)
WORTH = _row(1, 0.93, 0.78, 0.62, 0.50, 0.42, 0.35, 0.155, 0.07, 0)
WORTH_LOW = _row(1, 0.87, 0.73, 0.59, 0.44, 0.37, 0.30, 0.12, 0.05, 0)
WORTH_HIGH = _row(1, 0.98, 0.86, 0.65, 0.54, 0.49, 0.41, 0.19, 0.09, 0)


def differing_share(jaccard: Floats, shingle_tokens: int) -> Floats:
    """The share of tokens (0 to 1) that differ between texts of a similarity.

    Own derivation: with k tokens a shingle and every token replaced independently with probability d,
    a share (1 - d)^k of the shingles stays, and so J = (1 - d)^k / (2 - (1 - d)^k).

    Args:
        jaccard: of the sets of word shingles, 0 to 1, shape (n,).
        shingle_tokens: length of a shingle, 1 or more.
    """
    kept: Floats = (2.0 * jaccard / (1.0 + jaccard)) ** (1.0 / shingle_tokens)
    return 1.0 - kept


def worth(differing: Floats) -> Floats:
    """What near copies are worth (1: an exact copy), linear between the published points.

    Args:
        differing: share of tokens that differ, 0 to 1, shape (n,).

    Returns:
        Shape (3, n): worth, its lowest and its highest published value. NaN stays NaN.
    """
    return np.stack([np.interp(differing, WORTH_AT, row) for row in (WORTH, WORTH_LOW, WORTH_HIGH)])


def worth_of_similarity(jaccard: Floats, shingle_tokens: int) -> Floats:
    """What near copies of these similarities are worth; see `differing_share` and `worth`."""
    return worth(differing_share(jaccard, shingle_tokens))


@dataclass(frozen=True)
class Evidence:
    """The lowest and highest published share (0 to 1) of texts seen so often that are reproduced, or
    the reason why there is none."""

    low: float | None
    high: float | None
    reason: str | None


# Sizes, in parameters, of the models behind each column of the table below.
STUDIED_SIZES: tuple[Range, ...] = ((0, 200e6), (1e9, 1.5e9), (6e9, 8e9))

# By bin of 2-5, 6-20, 21-100 and 101-1000 exposures: lowest and highest published share a column, over
# four families: GPT-Neo on the Pile, C4 1.5B and OPT (Carlini et al. 2023, arXiv 2202.07646, F) and
# randomised insertions into 100 to 500 billion tokens (Hubble, arXiv 2510.19811, F).
PUBLISHED_SHARES: tuple[tuple[Range, ...], ...] = (
    ((0.01, 0.05), (0.00, 0.09), (0.00, 0.14)),
    ((0.01, 0.13), (0.00, 0.25), (0.00, 0.39)),
    ((0.01, 0.21), (0.00, 0.48), (0.02, 0.89)),
    ((0.04, 0.44), (0.05, 0.95), (0.11, 0.99)),
)

# Below so many training tokens extraction curves are extrapolations: fine-tuning sets.
LEAST_TRAINING_TOKENS = 1e10

# Why there is no interval.
PREDICTABLE = "predictable"  # of passages that a model can continue without having seen them
NO_SIZE = "no model size is configured"
NO_TRAINING_TOKENS = "no number of training tokens is configured"
SEEN_ONCE = "text seen once: not estimable"
TOO_OFTEN = "outside the published range"
TOO_LARGE = "beyond the evidence: more than 8 billion parameters"
FINE_TUNING = (
    "extraction was not measured on fine-tuning sets of under 10 billion tokens: see the membership AUC"
)


def evidence(parameters: float | None, training_tokens: float | None) -> tuple[Evidence, ...]:
    """The published interval of each bin of `BINS`, for a model.

    A size between two studied ones (200 million to 1 billion, 1.5 to 6 billion) gets both neighbouring
    columns: the lowest low, the highest high.

    Args:
        parameters: size of the model; None if it is not known.
        training_tokens: in the model's tokens; None, if not known, counts as enough.

    Raises:
        ValueError: a number that is not above 0.
    """
    for number in (parameters, training_tokens):
        if number is not None and not number > 0:
            raise ValueError(f"a model of {number} parameters or training tokens: need more than 0")
    if parameters is None:
        return (_none(NO_SIZE),) * len(BINS)
    if parameters > STUDIED_SIZES[-1][1]:
        between = [_none(TOO_LARGE)] * len(PUBLISHED_SHARES)
    elif training_tokens is not None and training_tokens < LEAST_TRAINING_TOKENS:
        between = [_none(FINE_TUNING)] * len(PUBLISHED_SHARES)
    else:
        between = [_spanned(row, parameters) for row in PUBLISHED_SHARES]
    return (_none(SEEN_ONCE), *between, _none(TOO_OFTEN))


def _none(reason: str) -> Evidence:
    return Evidence(None, None, reason)


def _spanned(row: tuple[Range, ...], parameters: float) -> Evidence:
    # The columns from the last that begins at or below the size to the first that ends at or above it:
    # one where it was studied, two where it lies between.
    first = max(i for i, (least, _) in enumerate(STUDIED_SIZES) if least <= parameters)
    last = min(i for i, (_, most) in enumerate(STUDIED_SIZES) if parameters <= most)
    columns = row[first : last + 1]
    return Evidence(min(low for low, _ in columns), max(high for _, high in columns), None)


_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True)
class Estimate:
    """A share of texts (0 to 1) with its 95 % interval by the curve's own residuals; or None, None,
    None and the reason. The interval tells how well the curve fits its study, not other corpora."""

    probability: float | None
    low: float | None
    high: float | None
    reason: str | None


@dataclass(frozen=True)
class Curve:
    """A fitted curve: logit p = intercept + by_copies log10(n) + by_size log10(parameters / 1e9).

    n is the number of copies; where the curve knows training tokens, copies a 100 billion of them.

    Attributes:
        source: what was measured, by whom. kind: of evidence, see the module.
        residual_sd: on the logit scale.
        copies, parameters, training_tokens: where the curve is valid, both ends in it; None: not used.
    """

    source: str
    kind: str
    intercept: float
    by_copies: float
    by_size: float
    residual_sd: float
    copies: Range
    parameters: Range
    training_tokens: Range | None = None


CURVES: dict[str, Curve] = {
    # 136 points of Fig. 1b, R2 0.97. It misses some of them: at 6 billion parameters it says .49 for
    # .57 at 50 copies, at 125 million .54 for .44 at 930.
    "pile-neo": Curve(
        "GPT-Neo on the Pile: Carlini et al. 2023, arXiv 2202.07646, Fig. 1b",
        "F", -3.379, 1.500, 1.034, 0.24, (2, 930), (125e6, 6e9),
    ),
    # R2 0.91. The number of copies it is valid for is that of the table of published shares.
    "inserted": Curve(
        "texts inserted at random into 100 to 500 billion tokens: Hubble, arXiv 2510.19811",
        "F", -11.2, 5.17, 3.58, 1.0, (2, 1000), (1e9, 8e9), (100e9, 500e9),
    ),
}  # fmt: skip


def pile_neo(copies: float, parameters: float) -> Estimate:
    """The share of texts with so many copies that GPT-Neo, trained on the Pile, reproduces."""
    return curve("pile-neo", copies, parameters, None)


def inserted(copies: float, parameters: float, training_tokens: float) -> Estimate:
    """The share of texts inserted so often that a model trained on that many tokens reproduces."""
    return curve("inserted", copies, parameters, training_tokens)


def curve(name: str, copies: float, parameters: float | None, training_tokens: float | None) -> Estimate:
    """What the curve of that name says; nothing, with the reason, outside the range it is valid for.

    Args:
        name: a key of `CURVES`.
        training_tokens: not looked at by a curve that does not know them.

    Raises:
        KeyError: no curve has that name.
    """
    fitted = CURVES[name]
    if parameters is None:
        return _unknown(NO_SIZE)
    if fitted.training_tokens is not None and training_tokens is None:
        return _unknown(NO_TRAINING_TOKENS)
    for value, valid, unit in (
        (copies, fitted.copies, "copies"),
        (parameters, fitted.parameters, "parameters"),
        (training_tokens, fitted.training_tokens, "training tokens"),
    ):
        if valid is not None and value is not None and not valid[0] <= value <= valid[1]:
            ends = f"{valid[0]:,.15g} to {valid[1]:,.15g}"
            return _unknown(f"the curve is valid for {ends} {unit}, not for {value:,.15g}")
    weight = 1.0 if fitted.training_tokens is None or training_tokens is None else 1e11 / training_tokens
    size = math.log10(parameters / 1e9)
    logit = fitted.intercept + fitted.by_copies * math.log10(copies * weight) + fitted.by_size * size
    half = _Z * fitted.residual_sd
    return Estimate(_logistic(logit), _logistic(logit - half), _logistic(logit + half), None)


def _unknown(reason: str) -> Estimate:
    return Estimate(None, None, None, reason)


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


# Number of exact copies, and how well membership of a text in the training data can be told (AUC; 0.5:
# by chance); mean of four models of 1 to 3 billion parameters. Mosaic Memory, arXiv 2405.15523, D.
MEMBERSHIP_AUC: tuple[tuple[int, float], ...] = ((1, 0.59), (2, 0.66), (3, 0.71), (5, 0.81), (10, 0.91))

# About what a model can hold. Morris et al. 2025, arXiv 2505.24832, N.
BITS_A_PARAMETER = 3.6


def capacity_bytes(parameters: float) -> float:
    """About how many bytes a model of that size can hold."""
    return parameters * BITS_A_PARAMETER / 8


QUANTITY = (
    "Chance that a model trained on this data reproduces the next 50 tokens word for word when prompted "
    "with the text before them, greedy decoding."
)
NOT_A_MEASUREMENT = (
    "Not a measurement of your model. These ranges are what published studies measured for text repeated "
    "this often in models of this size; they differ by ten times or more between training sets. A low "
    "range is not evidence of safety: text seen once has been extracted. To know, test the model with the "
    "exported prompts."
)
WORTH_BY_ANALOGY = (
    "What a near copy is worth was measured by membership inference (Mosaic Memory, arXiv 2405.15523) and "
    "is applied to extraction by analogy; the share of differing tokens follows from the similarity as if "
    "tokens had been replaced independently of each other."
)
NO_PARAPHRASES = "Paraphrases are not counted: only texts that share their words are copies here."
PROMPTED_ONLY = (
    "Extraction with a prompt is not leakage without one: text that a model produces unprompted follows "
    "another law, and nothing here estimates it."
)
KEEP_CAUTION = (
    "Blanket removal can hurt. In the study of FineWeb (arXiv 2406.17557) removing duplicates from the "
    "whole corpus at once was barely better than removing none, and models trained on what it kept did "
    "worse than models trained on what it had removed: the harm sits in clusters of very many copies. "
    "Rather than delete all repeats, consider a cap of k copies (policy cap:K), compare the numbers after "
    "it with those of other policies, and train on both before you decide."
)

SENTENCES: dict[str, str] = {
    "quantity": QUANTITY,
    "label": NOT_A_MEASUREMENT,
    "worth": WORTH_BY_ANALOGY,
    "paraphrases": NO_PARAPHRASES,
    "prompted": PROMPTED_ONLY,
    "keep": KEEP_CAUTION,
}

# What a run says of its own numbers; the caution belongs to a keep list.
LABELS: dict[str, str] = {name: text for name, text in SENTENCES.items() if name != "keep"}


@dataclass(frozen=True)
class Context:
    """A figure of other corpora: what it is, its value (0 to 1) by corpus, who says so."""

    what: str
    values: tuple[tuple[str, float], ...]
    source: str
    kind: str


_LEE = "Lee et al. 2022, arXiv 2107.06499"

CONTEXT: tuple[Context, ...] = (
    Context(
        "training tokens in repeats of 50 BPE tokens",
        (("C4", 0.0718), ("RealNews", 0.194), ("LM1B", 0.0076), ("Wiki-40B", 0.0276)),
        _LEE, "N",
    ),
    Context(
        "documents with a near-duplicate",
        (("C4", 0.0304), ("RealNews", 0.1363), ("LM1B", 0.0486), ("Wiki-40B", 0.0039)),
        _LEE, "N",
    ),
    Context(
        "documents in groups of exact duplicates (about)",
        (("RedPajama", 0.50), ("LAION-2B-en captions", 0.50)),
        "WIMBD: Elazar et al. 2024, arXiv 2310.20707", "P",
    ),
    Context(
        "bytes removed by de-duplication",
        (
            ("CommonCrawl", 0.638), ("C4", 0.069), ("GitHub", 0.462), ("books", 0.020), ("arXiv", 0.0006),
            ("Wikipedia", 0.022), ("StackExchange", 0.002), ("all", 0.496),
        ),
        "SlimPajama: Soboleva et al. 2023", "P",
    ),
)  # fmt: skip
