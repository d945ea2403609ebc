"""Strict JSON: whatever two parsers could read differently is an error."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements import strict

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1,]",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"'a'",
        b"nul",
        b"01",
        b"+1",
        b".5",
        b"\x0c1",
        b'"a\nb"',
        b"// c\n1",
        b'{"a":1,"a":1}',
        b'{"x":[{"a":1,"\\u0061":2}]}',
        b"NaN",
        b"-Infinity",
        b"[Infinity]",
        b"1e400",
        b"-1e999",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"1" * 401,
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b" " * (strict.LARGEST + 1),
    ],
    ids=lambda text: f"{text[:24]!r} of {len(text)}",
)
def test_what_parsers_disagree_about_is_refused(text: bytes) -> None:
    with pytest.raises(strict.NotStrictJson) as refusal:
        strict.loads(text)

    assert refusal.value.code == "malformed_call"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            b' {"a" : [1, -0.5e2, true, null, "\\u00e9\\ud83d\\ude00"]} ',
            {"a": [1, -50.0, True, None, "\u00e9\U0001f600"]},
        ),
        (b"[" * 64 + b"]" * 64, None),
        (b'"' + b"[" * 500 + b'"', "[" * 500),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_what_everybody_reads_alike_is_read(text: bytes, value: object) -> None:
    assert strict.loads(text) == value or value is None


@given(VALUES)
def test_what_was_read_is_written_back_the_same(value: object) -> None:
    text = json.dumps(value).encode()

    assert strict.loads(strict.dumps(strict.loads(text))) == value


@given(VALUES, st.data())
def test_the_quick_way_reads_what_the_strict_way_reads_or_nothing(value: object, data: st.DataObject) -> None:
    """Once as our encoder writes it, and once with a byte of it changed."""
    text = bytearray(strict.dumps(value))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.sampled_from([text[place], *b'0159-.eE"\\:,[]{} a\xc3']))

    quick = strict._as_written_here(bytes(text))

    if quick is not strict._UNKNOWN:
        read = strict._DECODER.decode(bytes(text).decode())
        assert (quick, _kinds(quick)) == (read, _kinds(read))


@pytest.mark.parametrize("text", [b'{"a":1,"b":[0.5,null,"\xc3\xa4"]}', b"1", b'""'])
def test_compact_text_is_read_the_quick_way(text: bytes) -> None:
    assert strict._as_written_here(text) == json.loads(text)


def _kinds(value: object) -> object:
    """Say of what type each part of a value is."""
    if isinstance(value, dict):
        return {name: _kinds(inner) for name, inner in value.items()}
    return [_kinds(inner) for inner in value] if isinstance(value, list) else type(value)


def test_wide_bodies_cost_little_and_deep_ones_nothing() -> None:
    began = time.thread_time()
    with pytest.raises(strict.NotStrictJson):
        strict.loads(b"[" * strict.LARGEST)
    strict.loads(b"[" + b"[]," * 300_000 + b"1]")

    assert time.thread_time() - began < 3
