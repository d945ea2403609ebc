"""Attacks, tried by each way through the gateway: refused, recorded once at most, and the server saw none."""

from __future__ import annotations

import functools
import gzip
import json
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from django.db import transaction
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from audit.context import SYSTEM
from entitlements.catalog import discovery
from entitlements.catalog.models import System, Tool
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.upstream import mcp_headers
from scripts.devservers import free_port
from tests import waits
from tests.nodes.gateway import rest_world
from tests.nodes.gateway.world import META, MODERN, Gateway, World, has_applied
from tests.nodes.promises import upstreams, ways
from tests.nodes.promises.ways import Place, Reply
from tests.promises.table import GATEWAY, MCP, REST, REST_BY_MCP, STDIO, cells

OVER_HTTP = (MCP, REST_BY_MCP, REST)


def message(here: World, arguments: str = '{"text":"x"}') -> bytes:
    """Write a call as an MCP client does, its arguments as they are."""
    params = f'"_meta":{json.dumps(META)},"name":"{here.tool.name}","arguments":{arguments}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}'.encode()


def asked(place: Place, here: World, token: str) -> tuple[bytes, bytes]:
    """Return the head of a request but for its framing, and its body."""
    slug, common = here.system.slug, f"Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    if place.way == REST:
        return f"GET /gw/{slug}/http/notes?text=x HTTP/1.1\r\n{common}".encode(), b'{"text":"x"}'
    lines = f"MCP-Protocol-Version: {MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: {here.tool.name}\r\n"
    kinds = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    return f"POST /gw/{slug}/mcp HTTP/1.1\r\n{common}{kinds}{lines}".encode(), message(here)


FRAMED: dict[str, tuple[str, bool]] = {
    "two lengths that differ": ("Content-Length: {}\r\nContent-Length: 3", False),
    "a length twice": ("Content-Length: {0}\r\nContent-Length: {0}", False),
    "a length and chunks": ("Content-Length: 3\r\nTransfer-Encoding: chunked", True),
    "chunks in another word": ("Transfer-Encoding: xchunked", True),
    "a negative length": ("Content-Length: -1", False),
    "a length that is none": ("Content-Length: 0x0c", False),
    "a folded header": ("Content-Length: {}\r\nX-Trace: a\r\n Content-Type: text/plain", False),
    "a bare line end": ("Content-Length: {}\r\nX-Trace: a\rHost: b", False),
    "a space before the colon": ("Content-Length : {}", False),
}


@cells("smuggling", *GATEWAY)
def test_a_request_whose_end_can_be_seen_twice_is_refused(node: Gateway, place: Place) -> None:
    here = place.world()
    where = urlsplit(node.base)
    head, body = asked(place, here, place.token(here))
    for name, (framing, is_chunked) in FRAMED.items():
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=waits.SECONDS) as wire:
            wire.sendall(head + framing.format(len(body)).encode() + b"\r\n\r\n" + sent)
            answered = b"".join(iter(lambda wire=wire: wire.recv(65536), b""))  # type: ignore[misc]
        assert answered.split(b" ")[1:2] in ([b"400"], [b"413"]), (name, answered)
    assert place.upstream.calls == []
    assert here.calls() == []


@cells("smuggling", *GATEWAY)
def test_an_argument_is_one_argument_whatever_it_holds(node: Gateway, place: Place) -> None:
    here = place.world()
    for text in ("a\r\nX-Injected: b", "a\nHost: b\n\n", "a&do=hang", "x#y?z=1", '"},"method":"tools/list', "a;do=b"):
        place.upstream.calls.clear()
        answer = place.call(node, here, text=text)
        for arrived in place.upstream.calls:
            assert text_of(place, arrived) == text
        assert (answer.code == "") is (len(place.upstream.calls) == 1), (text, answer)
    for header in ("X-Injected", "Mcp-Name", "Authorization"):
        with pytest.raises((httpx2.HTTPError, ValueError)):
            httpx2.get(node.base, headers={header: "a\r\nX-Injected: b"})


def text_of(place: Place, arrived: str) -> str:
    """Return the argument as the server read it."""
    if place.way == STDIO:
        return str(json.loads(arrived)["params"]["arguments"]["text"])
    _, target, headers, body = json.loads(arrived)
    assert "x-injected" not in headers
    assert headers["host"].startswith("localhost:")
    if place.way == MCP:
        return str(json.loads(body)["params"]["arguments"]["text"])
    return httpx2.URL(f"http://x{target}").params["text"]


SPOILT = {
    "a name twice": b'{"text":"a","text":"b"}',
    "a name twice in another writing": b'{"text":"a","te\\u0078t":"b"}',
    "a comma too many": b'{"text":"a",}',
    "no number": b'{"text":NaN}',
    "a number beyond numbers": b'{"text":1e999}',
    "half a letter": b'{"text":"\\ud800"}',
    "no UTF-8": b'{"text":"\xff"}',
    "a comment": b'{"text":"a"/**/}',
    "deep": b'{"text":' + b"[" * 5000 + b"]" * 5000 + b"}",
}
TARGETS = {
    "a name twice": "/notes?text=a&text=b",
    "a name twice in another writing": "/notes?text=a&te%78t=b",
    "a semicolon": "/notes;a=b?text=a",
    "dots": "/notes/..%2fnotes?text=a",
    "encoded twice": "/%256eotes?text=a",
    "a backslash": "/x%5c..%5cnotes?text=a",
    "two slashes": "//notes?text=a",
    "no UTF-8": "/notes?text=%ff",
    "half an escape": "/notes?text=%4",
    "an array": "/notes?text[]=a",
    "another name": "/notes?text=a&Text=b",
}


@cells("parsing", *GATEWAY)
def test_what_parsers_read_differently_is_refused(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    if place.way == REST:
        found = {name: rest_world.ask(node, here, "GET", target, with_token=token) for name, target in TARGETS.items()}
    else:
        given = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": here.tool.name}
        bodies = {name: message(here).replace(b'{"text":"x"}', spoilt) for name, spoilt in SPOILT.items()}
        bodies["a tool twice"] = message(here).replace(b'"name":', b'"name":"delete_note","name":')
        bodies["two values"] = message(here) * 2
        found = {name: node.post(here.system.slug, body, token, headers=given) for name, body in bodies.items()}
    assert {name: each.status_code for name, each in found.items() if not 400 <= each.status_code < 500} == {}
    assert place.upstream.calls == []
    recorded = [str(event.uuid) for event in here.events() if event.action.startswith("call.")]
    evaluations = [evaluation for each in found.values() if (evaluation := ways.reply(each).evaluation)]
    assert recorded == evaluations, "one event for each that says one"


@cells("shadowing", *GATEWAY)
def test_a_tool_of_the_same_name_elsewhere_opens_nothing(node: Gateway, place: Place) -> None:
    here, other = place.world(), place.world()
    mine = place.token(here)
    assert place.call(node, other, mine).code == "token_invalid"
    theirs = World(**{**vars(here), "system": other.system, "tool": other.tool})
    assert place.call(node, theirs, place.token(theirs, scope=other.entitlement.scope)).code == "no_grant"
    assert place.upstream.calls == []


@cells("shadowing", *GATEWAY)
def test_a_name_in_look_alike_letters_is_no_tool(node: Gateway, place: Place) -> None:
    here = place.world()
    known = here.tool.versions.get().definition
    looks_like = {**known, "name": "r\u0435ad_note"}  # a Cyrillic letter
    also = {**known, "name": "READ_NOTE"}
    if here.system.kind == System.Kind.HTTP:
        also["http"] = {**known["http"], "path": "/other"}
    found = discovery.record_discovery(here.system, [known, looks_like, also], by=SYSTEM, complete=False)
    assert list(found.malformed) == ["r\u0435ad_note"]
    assert Tool.objects.get(system=here.system, name="READ_NOTE").state == "pending"
    if place.way == REST:
        assert rest_world.ask(node, here, "GET", "/n%D0%BEtes?text=a").json()["code"] == "operation_unknown"
        assert rest_world.ask(node, here, "GET", "/other?text=a").json()["code"] in ("tool_not_approved", "no_grant")
    else:
        assert call(node, here, "READ_NOTE").code in ("tool_not_approved", "no_grant")
        assert call(node, here, "read_note\u200b").code != ""
    assert place.upstream.calls == []


def call(node: Gateway, here: World, name: str) -> Reply:
    """Call a tool of any name by MCP."""
    token = here.token()
    named = {"Mcp-Name": mcp_headers.encode(name)}
    sent = node.modern(here.system.slug, "tools/call", token, headers=named, name=name, arguments={"text": "a"})
    return ways.reply(sent)


INNER = (
    *("http://10.1.2.3/", "https://10.1.2.3/", "http://169.254.169.254/latest", "https://[fe80::1]/", "https://0/"),
    *("http://[::ffff:10.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://100.100.100.200/", "http://127.1:{}/"),
    *("http://2130706433:{}/", "http://0x7f.1:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://0.0.0.0:{}/"),
)


@cells("inner address", *OVER_HTTP)
def test_a_system_that_leads_inside_is_never_reached(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(waits.MOMENT)
        for address in INNER:
            move(here.system, address.format(inside.getsockname()[1]))
            assert place.call(node, here, token).code == "upstream_unavailable", address
        with pytest.raises(TimeoutError):
            inside.accept()
    assert place.upstream.calls == []
    waits.until(lambda: len(here.calls()) == 2 * len(INNER))
    assert sorted(here.calls()) == ["call.allowed"] * len(INNER) + ["call.finished"] * len(INNER)


def move(system: System, address: str) -> None:
    """Write another address, which no person may, and wait until the node has heard of it."""
    with transaction.atomic():
        locks.exclusive((Lock.SYSTEM, system.pk))
        System.objects.filter(pk=system.pk).update(upstream_url=address)
        changes.note(subjects.system(system.pk))
    waits.until(lambda: has_applied("promises-1"))


# Answers that never end or grow


@functools.cache
def packed(how: str) -> bytes:
    """Compress many times what an answer may hold."""
    body = b'"' + b"0" * 60_000_000 + b'"'
    match how:
        case "gzip":
            return gzip.compress(body, 1)
        case "deflate":
            return zlib.compress(body, 1)
        case "gzip, gzip":
            return gzip.compress(packed("gzip"))
    return b"\x00" * 64  # no brotli, whatever its header says


async def hostile(request: Request) -> Response:
    """Answer a call as its argument says, by MCP and by REST."""
    if request.method == "POST":
        asked = await request.json()
        if asked["method"] == "server/discover":
            found = {"supportedVersions": [MODERN], "capabilities": {}}
            return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": found})
        do = asked["params"]["arguments"]["do"]
    else:
        do = request.query_params["do"]
    if do in ("gzip", "deflate", "br", "gzip, gzip"):
        return Response(packed(do), headers={"Content-Encoding": do, "Content-Type": "application/json"})
    piece = {"events": b": nothing\n\ndata: {}\n\n" * 5000, "event": b"data: " + b"x" * 100_000}[do]
    return StreamingResponse((piece for _ in range(20_000)), media_type="text/event-stream")


@pytest.fixture(scope="module")
def evil() -> Iterator[str]:
    """Run a server that means harm; yields its address."""
    port = free_port()
    app = Starlette(routes=[Route("/mcp", hostile, methods=["POST"]), Route("/api/notes", hostile)])
    with upstreams.served(app, port):
        yield f"http://localhost:{port}"


def at(evil: str, place: Place) -> World:
    """Make a world whose server is the one that means harm."""
    system = place.another()
    System.objects.filter(pk=system.pk).update(upstream_url=evil + urlsplit(place.upstream.url).path)
    return place.world(system=System.objects.get(pk=system.pk))


def memory(node: Gateway) -> int:
    """Return the most memory that the node ever used, in bytes."""
    status = Path(f"/proc/{node.child.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@cells("compressed bomb", *OVER_HTTP)
def test_an_answer_that_inflates_is_refused(node: Gateway, place: Place, evil: str) -> None:
    here, before = at(evil, place), memory(node)
    for how in ("gzip", "deflate", "br", "gzip, gzip"):
        assert place.call(node, here, text="x", do=how).code == "upstream_unavailable", how
    assert memory(node) - before < 120_000_000
    waits.until(lambda: len(here.calls()) == 8)
    assert sorted(here.calls()) == ["call.allowed"] * 4 + ["call.indeterminate"] * 4


@cells("endless answer", *OVER_HTTP)
def test_an_answer_without_an_end_is_refused(node: Gateway, place: Place, evil: str) -> None:
    here, before = at(evil, place), memory(node)
    for how in ("event", "events"):
        assert place.call(node, here, text="x", do=how).code == "upstream_unavailable", how
    assert memory(node) - before < 120_000_000
    here = place.world()
    assert place.call(node, here).code == "", "and the node goes on"


@cells("endless answer", STDIO)
def test_a_local_server_without_an_end_is_ended(node: Gateway, place: Place) -> None:
    here, before = place.world(), memory(node)
    for do in ("bomb", "endless"):
        assert place.call(node, here, text="x", do=do).code == "upstream_unavailable"
        here = place.world()
    assert memory(node) - before < 120_000_000
    assert place.call(node, here).code == "", "and the node goes on"
