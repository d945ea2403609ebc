"""A secret is found in a text wherever it stands and however it is written, by marks that do not hold it."""

from __future__ import annotations

import base64
import gc
import json
import secrets
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.secret_scan.forms import SHORTEST, written
from entitlements.secret_scan.marks import Mark, Marks

SECRET = b'k/"9f8e\\7d6c/5b4a-geheim'
BEFORE = st.binary(max_size=40)


def marks(*known: bytes) -> Marks:
    return Marks({f"system-{number}": [Mark.of(form) for form in written(each)] for number, each in enumerate(known)})


@given(BEFORE, BEFORE)
def test_it_is_found_wherever_it_stands(before: bytes, after: bytes) -> None:
    text, owners = marks(SECRET).removed(before + SECRET + after)

    assert SECRET not in text
    assert text == before + b"[removed]" + after
    assert owners == {"system-0"}


@given(BEFORE, BEFORE)
def test_it_is_found_wherever_it_stands_in_what_is_encoded(before: bytes, after: bytes) -> None:
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        assert marks(SECRET).removed(encoded(before + SECRET + after))[1] == {"system-0"}
    assert marks(SECRET).removed(before + SECRET.hex().encode() + after)[1]
    assert marks(SECRET).removed(before + quote(SECRET.decode(), safe="").encode() + after)[1]


@pytest.mark.parametrize(
    "said",
    ["".join(f"\\u{letter:04x}" for letter in SECRET), json.dumps(SECRET.decode())[1:-1].replace("/", "\\/")],
)
def test_json_that_writes_it_otherwise_gives_it_away_no_more(said: str) -> None:
    text, owners = marks(SECRET).removed_from_json(f'{{"a":["{said}"]}}'.encode())

    assert owners == {"system-0"}
    assert json.loads(text) == {"a": ["[removed]"]}


@given(st.binary(max_size=400))
def test_what_holds_no_secret_is_passed_on_as_it_is(text: bytes) -> None:
    assert marks(SECRET).removed(text) == (text, set())


def test_two_secrets_that_overlap_leave_nothing_of_either() -> None:
    one, other = b"abcdefghijklmnopqrst", b"mnopqrstuvwxyz012345"
    text, owners = marks(one, other).removed(b"<abcdefghijklmnopqrstuvwxyz012345>")

    assert (text, owners) == (b"<[removed]>", {"system-0", "system-1"})


def test_a_text_that_is_too_short_to_be_looked_for_has_no_mark() -> None:
    assert written(b"x" * (SHORTEST - 1)) == set()


def test_marks_hold_no_part_of_a_secret() -> None:
    known = secrets.token_urlsafe(30).encode()
    held = marks(known)
    seen, queue = set[int](), [held._by_block]
    texts = list[bytes]()
    while queue:
        each = queue.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        if isinstance(each, bytes | str):
            texts.append(each if isinstance(each, bytes) else each.encode())
        elif isinstance(each, dict | list | tuple | Mark):
            queue += gc.get_referents(each)

    parts = {known[at : at + 6] for at in range(len(known) - 5)}
    assert not any(part in text for part in parts for text in texts)


def test_a_megabyte_is_looked_through_in_milliseconds() -> None:
    held = marks(*(secrets.token_urlsafe(30).encode() for _ in range(300)))
    text = b'{"name":"a value","numbers":[1,2,3]},' * 28_000
    began = time.thread_time()
    assert held.find(text) == []
    assert time.thread_time() - began < 0.5  # measured: 13 ms
