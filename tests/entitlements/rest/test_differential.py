"""The mapper against the reference: requests built, written otherwise and spoilt, and no disagreement on any."""

from __future__ import annotations

import random
from typing import Any

import pytest

from entitlements.rest.read import Incoming
from entitlements.rest.refusals import NotMapped
from tests import seeds
from tests.entitlements.rest import reference
from tests.entitlements.rest.api import API, OPERATIONS
from tests.entitlements.rest.arguments import arguments
from tests.entitlements.rest.test_round_trip import incoming

SPOILERS = (
    b"%2f", b"%2F", b"..", b"%2e", b".", b"/", b"//", b"%5c", b"\\", b"%00", b"\x00", b"%c0%ae", b"%ff", b"%25", b"%",
    b"%252e", b";", b"%3B", b";x=1", b"&", b"&&", b"=", b"+", b"%20", b" ", b",", b"|", b"[", b"]", b"[x]", b"#", b"?",
    b"&limit=1", b"&limit=01", b"&tag=x", b"&admin=1", b"&R=1", b"&filter[x]=1", b"&filter", b"0", b"-", b"1e999",
    b"NaN", b"true", b"True", b"\xc3\xa9", b"%C3%A9", b"%ed%a0%80", b"\r\n", b"%0a", b":start", b"me", b"items", b"{",
    b"}", b'"', b'{"a":1,"a":2}', b"\\ud800", b"--mandate", b"\n", b"\t", b"%7C", b"%2C", b"%2B", b"utf-8", b"e", b"*",
)  # fmt: skip
TYPES = (
    b"application/json", b"application/json; charset=utf-8", b"application/json;charset=UTF-16", b"text/plain", b"",
    b"application/x-www-form-urlencoded", b"multipart/form-data", b"multipart/form-data; boundary=b",
    b'multipart/form-data; boundary="b"', b"application/octet-stream", b"APPLICATION/JSON", b"application/json;",
)  # fmt: skip
HEADERS = (
    (b"x-trace", b"a"), (b"X-Trace", b"b"), (b"x-ids", b"1, 2"), (b"x-ids", b"1,,2"), (b"x-ids", b"01"),
    (b"cookie", b"a=b"), (b"x-colour", b"R=1,name=b"), (b"x-colour", b"R,1"), (b"x-http-method-override", b"DELETE"),
    (b"user-agent", b"x"), (b"content-length", b"1"), (b"transfer-encoding", b"chunked"), (b"host", b"a"),
    (b"content-type", b"application/json"), (b"x-trace", b"\xe9"), (b"x-trace", b""), (b"if-match", b"*"),
    (b"accept", b"*/*"), (b"x-colour", b"name=a,name=b"),
)  # fmt: skip
VALUES = (
    b"-0", b"01", b"1e999", b"-1e5", b"1.0", b"0", b"7", b"1,,2", b"1,2", b"R,1,R,2", b"R=1,R=2",
    b"R,1,name,", b"R=1,name=", b"name=,R=1", b"a%5Cb", b"%2e", b"%252e", b"", b"true", b"TRUE", b"a|b",
    b"a%20b", b".1.2", b".1..2", b";ids=1;ids=", b";ids=1;id=2", b";c=R,1,name,", b";t=", b";t=x", b"me",
    b"start", b"end", b"1:start", b":start", b"%00", b"{}", b"[1",
)  # fmt: skip
WHERE = (
    "path", "path", "query", "query", "body", "headers", "type", "method", "escape", "segment", "value", "value",
    "twice", "line end",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "get")


def valid(source: random.Random) -> list[Incoming]:
    """Return requests that mean something."""
    found: list[Incoming] = []
    while len(found) < 600:
        tool = source.choice(list(API))
        try:
            found.append(incoming(OPERATIONS.build(tool, arguments(API[tool], source))))
        except NotMapped:
            continue
    return found


def spoilt(request: Incoming, source: random.Random) -> Incoming:
    """Return a request as another client, or an attacker, would write it."""
    parts: dict[str, Any] = {name: getattr(request, name) for name in Incoming.__struct_fields__}
    for _ in range(source.choice((0, 1, 1, 2, 3))):
        where = source.choice(WHERE)
        match where:
            case "segment" | "value" | "twice":
                _replace(parts, where, source)
            case "line end":
                parts["body"] = parts["body"].replace(b"\r\n", b"\n", source.choice((1, 2, 4)))
            case "headers":
                parts["headers"] += (source.choice(HEADERS),)
            case "type":
                others = tuple(each for each in parts["headers"] if each[0] != b"content-type")
                parts["headers"] = (*others, (b"content-type", source.choice(TYPES)))
            case "method":
                parts["method"] = source.choice(METHODS)
            case "escape":
                where = source.choice(("path", "query"))
                parts[where] = _escaped(parts[where], source)
            case _:
                text = parts[where]
                place, length = source.randint(0, len(text)), source.choice((0, 0, 0, 1, 2, 8))
                parts[where] = text[:place] + source.choice(SPOILERS) + text[place + length :]
    return Incoming(**parts)


def _replace(parts: dict[str, Any], what: str, source: random.Random) -> None:
    """Write another whole value, or a pair once more."""
    where = "path" if what == "segment" else "query" if parts["query"] else "body"
    between = b"/" if what == "segment" else b"&"
    pieces = parts[where].split(between)
    place = source.randrange(len(pieces))
    name, equals, _ = pieces[place].partition(b"=")
    other = source.choice(VALUES) if what == "segment" else name + equals + source.choice(VALUES)
    pieces[place : place + (what != "twice")] = [other]
    parts[where] = between.join(pieces)


def _escaped(text: bytes, source: random.Random) -> bytes:
    if not text:
        return text
    place = source.randrange(len(text))
    escape = f"%{text[place]:02{source.choice('xX')}}".encode()
    return text[:place] + escape + text[place + 1 :]


def test_the_mapper_and_the_reference_never_disagree() -> None:
    compare(seeds.chance(), seeds.cases())


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_the_mapper_and_the_reference_never_disagree_in_a_million_cases() -> None:
    compare(seeds.chance("soak"), 1_000_000)


def compare(source: random.Random, cases: int) -> None:
    pool, understood = valid(source), 0
    for number in range(cases):
        if number % 20_000 == 19_999:
            pool = valid(source)
        request = spoilt(source.choice(pool), source)
        try:
            mapped = OPERATIONS.read(request)
            found = mapped.tool, mapped.arguments
        except NotMapped:
            found = None
        assert found == reference.meaning(API, request), request
        if found is not None:
            understood += 1
            _is_forwarded_as_understood(*found)
    assert cases // 10 < understood < cases * 9 // 10


def _is_forwarded_as_understood(tool: str, found: dict[str, Any]) -> None:
    """What goes out, read by the reference, is the call that was decided."""
    try:
        built = OPERATIONS.build(tool, found)
    except NotMapped:
        return
    assert reference.meaning(API, incoming(built)) == (tool, found)
