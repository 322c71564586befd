"""What texts of a cluster are worth to each other, against a double loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.kernels.exposures import add_worth, number_links
from pipeline.kernels.resemblance import words
from tests.kernels.plain import plain_python

Floats = NDArray[np.float64]


class Clusters(NamedTuple):
    """Texts of clusters, one cluster after the other; links: (one, two, worth) by cluster."""

    sizes: list[int]
    sketches: NDArray[np.uint8]
    weights: list[int]
    links: list[list[tuple[int, int, tuple[float, ...]]]]
    worth_of_agreement: Floats


WORTH = st.floats(0, 1, allow_subnormal=False)
THREE = st.tuples(WORTH, WORTH, WORTH)


@st.composite
def clusters(draw: st.DrawFn) -> Clusters:
    """A few small ones, with links between some of their texts, either way round."""
    sizes = draw(st.lists(st.integers(1, 5), max_size=4))
    width, n = draw(st.integers(1, 11)), sum(sizes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = st.integers(0, 2**45)
    links: list[list[tuple[int, int, tuple[float, ...]]]] = []
    for size in sizes:
        pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
        held = draw(st.lists(st.tuples(st.sampled_from(pairs), THREE), max_size=6)) if pairs else []
        links.append([(*pair, worth) for pair, worth in held])
    return Clusters(
        sizes,
        generator.integers(0, 3, (n, width)).astype(np.uint8),
        draw(st.lists(weights, min_size=n, max_size=n)),
        links,
        np.sort(generator.random((3, width + 1))),
    )


def _slow(held: Clusters) -> Floats:
    total = np.zeros((3, sum(held.sizes)))
    first = 0
    for size, links in zip(held.sizes, held.links, strict=True):
        known = {frozenset((one, two)): worth for one, two, worth in links}
        for i in range(size):
            for j in range(size):
                agree = int((held.sketches[first + i] == held.sketches[first + j]).sum())
                worth = known.get(frozenset((i, j)), tuple(held.worth_of_agreement[:, agree]))
                for r in range(3):
                    share = 1.0 if i == j else worth[r]
                    total[r, first + i] += held.weights[first + j] * share
        first += size
    return total


def _fast(held: Clusters, plain: bool = False) -> Floats:
    n = sum(held.sizes)
    starts = np.cumsum([0, *held.sizes])
    link_starts = np.cumsum([0, *map(len, held.links)])
    links = [link for each in held.links for link in each]
    one, two = (np.array([link[end] for link in links], np.int64) for end in (0, 1))
    worth = np.array([link[2] for link in links]).reshape(-1, 3).T.copy()
    packed, padding = words(held.sketches)
    most = max(held.sizes, default=0)
    total = np.full((3, n), np.nan)
    weight = np.array(held.weights, np.int64)
    ends = (link_starts, one, two, worth, held.worth_of_agreement)
    arguments = (starts, packed, padding, weight, *ends, np.full((most, most), 9, np.int32), total)
    if plain:
        with plain_python():
            add_worth.py_func(*arguments)
    else:
        add_worth(*arguments)
    return total


@given(clusters())
def test_exposures_are_those_of_a_double_loop(held: Clusters) -> None:
    assert _fast(held).tolist() == _slow(held).tolist()


@given(clusters())
def test_plain_python_gives_the_same_exposures(held: Clusters) -> None:
    assert _fast(held, plain=True).tolist() == _fast(held).tolist()


def _two(links: list[tuple[int, int, tuple[float, ...]]]) -> Clusters:
    # Sketches of eight bytes, three of which agree.
    sketches = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 0, 0, 0, 0, 0]], np.uint8)
    return Clusters([2], sketches, [5, 100], [links], np.arange(27).reshape(3, 9) / 100)


@pytest.mark.parametrize(("one", "two"), [(0, 1), (1, 0)])
def test_what_is_known_of_a_pair_goes_before_its_sketches(one: int, two: int) -> None:
    known = _fast(_two([(one, two, (0.5, 0.25, 0.75))]))
    assert known.tolist() == [[55.0, 102.5], [30.0, 101.25], [80.0, 103.75]]
    assert _fast(_two([])) == pytest.approx(np.array([[8.0, 100.15], [17.0, 100.6], [26.0, 101.05]]))


def test_text_alone_is_its_own_weight_and_no_text_is_nothing() -> None:
    alone = Clusters([1, 1], np.zeros((2, 3), np.uint8), [7, 0], [[], []], np.ones((3, 4)))
    assert _fast(alone).tolist() == [[7.0, 0.0]] * 3
    assert _fast(Clusters([], np.zeros((0, 3), np.uint8), [], [], np.ones((3, 4)))).shape == (3, 0)


KEYS = st.sampled_from([0, 1, 7, 2**63, 2**64 - 1])
IDS = st.integers(0, 12) | st.integers(2**64 - 3, 2**64 - 1)


def _numbered(nodes: list[tuple[int, int]], links: list[tuple[int, int, int]]) -> list[list[list[int]]]:
    # By cluster, as [row, one, two].
    key, text_id = (np.array([node[i] for node in nodes], np.uint64) for i in range(2))
    columns = (np.array([link[i] for link in links], np.uint64) for i in range(3))
    starts = [i for i in range(len(nodes)) if not i or nodes[i][0] != nodes[i - 1][0]]
    found = number_links(np.array([*starts, len(nodes)]), key, text_id, *columns)
    rows = np.stack(found[1:], axis=1).tolist()
    return [rows[a:b] for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]


def _slowly_numbered(
    nodes: list[tuple[int, int]], links: list[tuple[int, int, int]]
) -> list[list[list[int]]]:
    clusters = {key: [text for other, text in nodes if other == key] for key, _ in nodes}
    return [
        [
            [row, texts.index(left), texts.index(right)]
            for row, (of, left, right) in enumerate(links)
            if of == key and left in texts and right in texts
        ]
        for key, texts in clusters.items()
    ]


@given(
    st.sets(st.tuples(KEYS, IDS)).map(sorted),
    st.lists(st.tuples(KEYS, IDS, IDS)),
    st.booleans(),
)
def test_links_are_numbered_by_the_texts_of_their_cluster(
    nodes: list[tuple[int, int]], links: list[tuple[int, int, int]], in_order: bool
) -> None:
    # Those of a cluster stand together, in any order.
    links.sort(key=lambda link: link if in_order else link[:1])
    assert _numbered(nodes, links) == _slowly_numbered(nodes, links)


@given(st.sets(st.tuples(KEYS, IDS)).map(sorted), st.lists(st.tuples(KEYS, IDS, IDS)))
def test_plain_python_gives_links_the_same_numbers(
    nodes: list[tuple[int, int]], links: list[tuple[int, int, int]]
) -> None:
    links.sort(key=lambda link: link[0])
    fast = _numbered(nodes, links)
    with plain_python():
        assert _numbered(nodes, links) == fast


def test_links_of_a_large_cluster_are_found_wherever_they_lie() -> None:
    nodes = [(5, 3 * i) for i in range(500)]
    generator = np.random.default_rng(1)
    links = [(5, int(one), int(two)) for one, two in generator.integers(0, 1500, (2000, 2))]
    for held in (links, sorted(links)):
        assert _numbered(nodes, held) == _slowly_numbered(nodes, held)
