"""What two programs read as two things, tried by each way: refused, recorded once at most, and the server saw none."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests import waits
from tests.nodes.gateway.world import MODERN, Gateway, World
from tests.nodes.promises import ways
from tests.nodes.promises.test_attacks import asked, message
from tests.nodes.promises.ways import Place
from tests.promises.table import GATEWAY, MCP, REST, REST_BY_MCP, STDIO, cells

BY_MCP = (MCP, REST_BY_MCP, STDIO)

_EVALUATION = re.compile(rb'"evaluation_id": ?"([^"]+)"')
type Wire = tuple[bytes, bytes]
"""The framing of a request and its body, as sent."""


def chunked(body: bytes, size: bytes = b"%x") -> bytes:
    return size % len(body) + b"\r\n" + body + b"\r\n0\r\n\r\n"


def framed(body: bytes) -> dict[str, Wire]:
    length = b"Content-Length: %d" % len(body)
    coded = b"Transfer-Encoding: chunked"
    return {
        "chunks and then a length": (coded + b"\r\n" + length, chunked(body)),
        "a coding twice": (coded + b"\r\nTransfer-Encoding: identity", chunked(body)),
        "a coding after chunks": (b"Transfer-Encoding: chunked, identity", chunked(body)),
        "a coding in another space": (b"Transfer-Encoding:\x0bchunked", chunked(body)),
        "a coding and NUL": (b"Transfer-Encoding: chunked\x00", chunked(body)),
        "a size with a sign": (coded, chunked(body, b"+%x")),
        "a size with 0x": (coded, chunked(body, b"0x%x")),
        "a size with an underscore": (coded, chunked(body, b"0_%x")),
        "a size that overflows": (coded, chunked(body, b"10000000000000000%x")),
        "a length with a sign": (b"Content-Length: +%d" % len(body), body),
        "a length in a list": (b"Content-Length: %d, %d" % (len(body), len(body)), body),
        "a length in other digits": ("Content-Length: \u0661\u0662".encode(), body),
        "no end of a name": (length + b"\r\nX-Trace", body),
    }


def sent(node: Gateway, head: bytes, framing: bytes, body: bytes) -> bytes:
    where = urlsplit(node.base)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=waits.SECONDS) as wire:
        wire.sendall(head + framing + b"\r\n\r\n" + body)
        try:
            return b"".join(iter(lambda: wire.recv(65536), b""))
        except ConnectionResetError:
            return b""


def refused(here: World, place: Place, answers: Mapping[str, bytes]) -> None:
    """Check that nothing was called, and that each answer is a refusal or none."""
    codes = {name: answer.split(b" ")[1:2] for name, answer in answers.items()}
    assert {name: code for name, code in codes.items() if code and not code[0].startswith(b"4")} == {}
    assert {name: answer for name, answer in answers.items() if answer.count(b"HTTP/1.1 ") > 1} == {}
    assert place.upstream.calls == []
    evaluations = [found[1].decode() for answer in answers.values() if (found := _EVALUATION.search(answer))]
    assert [str(event.uuid) for event in here.events() if event.action.startswith("call.")] == evaluations
    assert set(here.calls()) <= {"call.denied"}


@cells("smuggling", *GATEWAY)
def test_a_body_whose_end_is_written_in_an_unusual_way_is_refused(node: Gateway, place: Place) -> None:
    here = place.world()
    head, body = asked(place, here, place.token(here))
    refused(here, place, {name: sent(node, head, *wire) for name, wire in framed(body).items()})


@cells("smuggling", *GATEWAY)
def test_a_header_that_is_there_twice_is_refused(node: Gateway, place: Place) -> None:
    here, other = place.world(), place.world()
    head, body = asked(place, here, place.token(here))
    twice = ["Host: elsewhere.example", f"Authorization: Bearer {place.token(other)}", "authorization: Basic eDp5"]
    if place.way != REST:
        twice += ["Content-Type: text/plain", "Mcp-Name: delete_note", "Mcp-Method: tools/list"]
        twice += ["MCP-Protocol-Version: 2025-06-18"]
    framing = f"Content-Length: {len(body) if place.way != REST else 0}"
    answers = {
        line: sent(node, head, f"{framing}\r\n{line}".encode(), body if place.way != REST else b"") for line in twice
    }
    refused(here, place, answers)
    assert [name for name, answer in answers.items() if not answer] == []


def bodies(here: World) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Write one call in ways that other readers take for JSON too, each with headers of its own."""
    plain = message(here)
    text = plain.decode()
    return {
        "a byte order mark": (b"\xef\xbb\xbf" + plain, {}),
        "UTF-16": (text.encode("utf-16"), {}),
        "UTF-16 by its type": (text.encode("utf-16-le"), {"Content-Type": "application/json; charset=utf-16le"}),
        "UTF-32": (text.encode("utf-32"), {}),
        "UTF-7": (plain.replace(b'"x"', b'"+AHg-"').replace(b"{", b"+AHs-"), {"Content-Type": "application/json"}),
        "a long form of a letter": (plain.replace(b'"x"', b'"\xc1\xb8"'), {}),
        "half a letter as bytes": (plain.replace(b'"x"', b'"\xed\xa0\x80"'), {}),
        "a NUL after it": (plain + b"\x00", {}),
        "a line end in a text": (plain.replace(b'"x"', b'"x\n"'), {}),
        "another quote": (plain.replace(b'"x"', b"'x'"), {}),
        "a number that is zero to some": (plain.replace(b'"id":1', b'"id":1e-999999'), {}),
        "a number beyond all": (plain.replace(b'"id":1', b'"id":1e400'), {}),
        "a number of eight": (plain.replace(b'"id":1', b'"id":010'), {}),
        "a number of sixteen": (plain.replace(b'"id":1', b'"id":0x1'), {}),
        "arguments twice": (plain.replace(b'"arguments"', b'"arguments":{"text":"y"},"arguments"'), {}),
        "arguments in other letters": (plain.replace(b'{"text":"x"}', b'{"text":"x","Text":"y"}'), {}),
        "arguments with a hidden letter": (plain.replace(b'{"text":"x"}', b'{"text":"x","te\\u200bxt":"y"}'), {}),
        "a method twice": (plain.replace(b'"method"', b'"method":"tools/list","method"'), {}),
        "gzip": (gzip.compress(plain), {"Content-Encoding": "gzip"}),
        "gzip that inflates": (gzip.compress(b" " * 50_000_000 + plain, 1), {"Content-Encoding": "gzip"}),
        "a form": (plain, {"Content-Type": "application/x-www-form-urlencoded"}),
        "two types": (plain, {"Content-Type": "application/json, text/plain"}),
    }


@cells("parsing", *BY_MCP)
def test_a_message_that_others_read_in_another_way_is_refused(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    given = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": here.tool.name}
    found = {
        name: node.post(here.system.slug, body, token, headers={**given, **headers})
        for name, (body, headers) in bodies(here).items()
    }
    codes = {name: (each.status_code, ways.reply(each).code) for name, each in found.items()}
    passed = {name: code for name, code in codes.items() if not 400 <= code[0] < 500 and not code[1]}
    assert passed == {}
    assert place.upstream.calls == []
    recorded = [str(event.uuid) for event in here.events() if event.action.startswith("call.")]
    evaluations = [evaluation for each in found.values() if (evaluation := ways.reply(each).evaluation)]
    assert recorded == evaluations, "one event for each that says one"


TARGETS = {
    "a long form of a slash": "/notes%c0%afx?text=a",
    "another way to escape": "/notes?text=%u0061",
    "an escaped question mark": "/notes%3ftext=a",
    "an escaped slash": "/%2fnotes?text=a",
    "a dot": "/./notes?text=a",
    "a dot at the end": "/notes/.?text=a",
    "two dots": "/notes/../notes?text=a",
    "a slash at the end": "/notes/?text=a",
    "a dot that is escaped": "/%2e/notes?text=a",
    "other letters": "/NOTES?text=a",
    "a parameter between": "/notes;/?text=a",
    "a wide slash": "/%EF%BC%8Fnotes?text=a",
    "a hidden letter": "/no%E2%80%8Btes?text=a",
    "a name with a hidden letter": "/notes?text=a&te%E2%80%8Bxt=b",
    "a name with an index": "/notes?text=a&text[0]=b",
    "a name with NUL": "/notes?text=a&text%00=b",
    "half a letter": "/notes?text=%ed%a0%80",
    "NUL": "/notes?text=a%00",
    "a fragment": "/notes?text=a#b",
    "a space": "/notes?text=a b",
    "a tab": "/notes?text=a\tb",
}


@cells("parsing", REST)
def test_an_address_that_others_read_in_another_way_is_refused(node: Gateway, place: Place) -> None:
    here = place.world()
    head, _ = asked(place, here, place.token(here))
    found = {
        name: sent(node, head.replace(b"/notes?text=x", target.encode()), b"Content-Length: 0", b"")
        for name, target in TARGETS.items()
    }
    refused(here, place, found)


HOSTS = (
    *("https://api.example.com@evil.example/v1", "https://evil.example/v1", "https://api.example.com./v1"),
    *("https://api.example.com\\@evil.example/v1", "https://api.example.com?@evil.example/v1", "//evil.example/v1"),
    *("https://api.ex\u0430mple.com/v1", "https://api.example.com%2eevil.example/v1", "http://[::ffff:7f00:1]/v1"),
    *("http://2130706433/v1", "http://0177.0.0.1/v1", "http://0x7f.1/v1", "http://127.1/v1", "gopher://127.0.0.1/v1"),
    *("https://api.example.com/v1/../v2", "https://api.example.com/v1/%2e%2e/v2", "https://api.example.com/v2"),
)
PATHS = (
    *("/v1/reports/../x", "/v1/reports/..;/x", "/v1/reports/%2e%2e/x", "/v1/reports\\..\\x", "/v1/reports2"),
    *("//v1/reports", "/v1/reports/\uff0e\uff0e/x", "/v1/reports/%252e%252e/x"),
)
DATES = (
    *("2026-06-01T00:00:00", "2027-01-01T00:30:00Z", "2026-01-01T23:00:00-00:30", "01/06/2026", "20260601"),
    *("2026-06-01 00:00:00Z", "2026-06-31", "2026-06-01T24:00:00Z"),
)
HOST_LIMIT: dict[str, object] = {"host_in": ["api.example.com", "http://127.0.0.1"], "path_prefix": "/v1"}
OUTSIDE: dict[str, tuple[dict[str, object], str, tuple[str, ...]]] = {
    "host": (HOST_LIMIT, "https://api.example.com/v1/a", HOSTS),
    "path": ({"path_prefix": "/v1/reports"}, "/v1/reports/7", PATHS),
    "date": ({"after": "2026-01-01", "before": "2027-01-01"}, "2026-06-01T00:00:00Z", DATES),
    "length": ({"min_length": 3}, "abc", ("ab", "", "\U0001f600\U0001f600")),
}


@pytest.mark.parametrize("limit", OUTSIDE)
@cells("parsing", *GATEWAY)
def test_a_value_in_any_writing_that_lies_outside_a_limit_is_refused(node: Gateway, place: Place, limit: str) -> None:
    written, inside, outside = OUTSIDE[limit]
    here = place.world(limits={"text": written})
    token = place.token(here)
    replies = {text: place.call(node, here, token, text=text) for text in outside}
    assert {text: reply.code for text, reply in replies.items() if reply.code != "argument_outside_limit"} == {}
    assert place.upstream.calls == []
    denied = [str(event.uuid) for event in here.events() if event.action == "call.denied"]
    assert denied == [reply.evaluation for reply in replies.values()], "each is recorded once"
    assert not any(text in str(event.detail) for event in here.events() for text in outside if len(text) > 2)
    assert place.call(node, here, token, text=inside).code == ""
    assert len(place.upstream.calls) == 1
