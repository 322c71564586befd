"""The text in a line of JSON, found and cut without touching another byte."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.writers.cutting import Range, cut_text
from pipeline.writers.json_text import cut_string, decoded, text_place

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(
    st.tuples(st.sampled_from(["text", "tex", 'a"b', "te\\xt", "", "é", "}"]) | st.text(max_size=3), VALUES),
    max_size=6,
)


def _written(pairs: list[tuple[str, object]], escaped: bool, blank: str) -> bytes:
    def spelled(value: object) -> str:
        return json.dumps(value, ensure_ascii=escaped)

    fields = [f"{spelled(key)}{blank}:{blank}{spelled(value)}{blank}" for key, value in pairs]
    return f"{blank}{{{blank}{','.join(blank + field for field in fields)}}}{blank}".encode()


@given(pairs=OBJECTS, escaped=st.booleans(), blank=st.sampled_from(["", " ", "\t \r"]))
def test_place_is_that_of_the_value_a_parser_reads(
    pairs: list[tuple[str, object]], escaped: bool, blank: str
) -> None:
    line = _written(pairs, escaped, blank)
    value = json.loads(line).get("text")
    place = text_place(line, "text")
    if isinstance(value, str):
        assert place is not None
        assert json.loads(line[place[0] - 1 : place[1] + 1]) == value
    else:
        assert place is None


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (b'{"text":"a"}', b"a"),
        (b'{"text":"a","text":"b"}', b"b"),
        (rb'{"t\u0065xt":"a"}', b"a"),
        (b'{"x":{"text":"no"},"text":"yes","y":["text"]}', b"yes"),
        (rb'{"x":"\"text\":\"no\"","text":"y\\"}', rb"y\\"),
        (b'{"n":1e999,"text":"y","big":123456789012345678901234567890}', b"y"),
        (b'{"bad":"\xff","text":"y"}', b"y"),
        (rb'{"half":"\ud800","\ud800":1,"text":"y"}', b"y"),
        (b'{"text":""}', b""),
        (b' {"text" : "a b" , "x" : [ ] } \r\n', b"a b"),
        (b'{"text":"a","text":null}', None),
        (b'{"text":["a"]}', None),
        (b"{}", None),
    ],
)
def test_place_of_texts_in_odd_lines(line: bytes, written: bytes | None) -> None:
    place = text_place(line, "text")
    assert (None if place is None else line[slice(*place)]) == written


@pytest.mark.parametrize("line", [b'{"text":"a', b'{"text', b'{"text":[', b'{"text":', b'{"te\x00":[1'])
def test_line_that_ends_too_soon_has_no_place(line: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        text_place(line, "text")


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/\b\n é中😀 a'), max_size=12),
    escaped=st.booleans(),
    data=st.data(),
)
def test_cut_string_stands_for_the_cut_text(text: str, escaped: bool, data: st.DataObject) -> None:
    written = json.dumps(text, ensure_ascii=escaped).replace("/", "\\/").encode()[1:-1]
    edges = [len(text[:i].encode()) for i in range(len(text) + 1)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(edges), max_size=6)))
    cuts: list[Range] = list(zip(chosen[::2], chosen[1::2], strict=False))
    assert decoded(written) == text.encode()
    assert decoded(cut_string(written, text.encode(), cuts)) == cut_text(text.encode(), cuts)


def test_what_is_left_is_spelled_as_it_was() -> None:
    written = rb"\u00e9\/\n" + "é/".encode() + rb"\ud83d\ude00\u4e2d CUT \t\u0041"
    text = orjson.loads(b'"' + written + b'"').encode()
    at = text.index(b"CUT")
    assert cut_string(written, text, [(at, at + 4)]) == written.replace(b"CUT ", b"")
    assert cut_string(written, text, [(0, 2), (3, 4)]) == written.replace(rb"\u00e9\/\n", rb"\/")
