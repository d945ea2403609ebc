"""The stream of a legacy server that ends early is taken up again; a refused version that a server knows as well."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import test_utils, web
from pytest_django.fixtures import Settings

from entitlements.upstream import egress, resumption, sse, upstream
from entitlements.upstream.egress import Unreachable
from entitlements.upstream.endpoint import Answer
from entitlements.upstream.upstream import Conversation, Target

pytestmark = [pytest.mark.loopback]
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
type Handler = Callable[[web.Request], Any]


@pytest.fixture(autouse=True)
def demo(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True  # servers on loopback
    monkeypatch.setattr(resumption, "LEAST_SECONDS", 0.01)


def served(answer: Handler, visit: Callable[[str], Any]) -> Any:  # noqa: ANN401 - whatever the visit returns
    """Run a server that answers like this, and visit it."""

    async def work() -> Any:  # noqa: ANN401
        app = web.Application()
        app.router.add_route("*", "/mcp", answer)
        async with test_utils.TestServer(app, host="127.0.0.1") as server:
            return await visit(f"http://localhost:{server.port}/mcp")

    return asyncio.run(work())


async def asked(url: str, version: str) -> bytes:
    """Send a request as a call is sent, and return its answer."""
    conversation, reader = Conversation(Target(url), version=version, session="s1"), sse.Reader(1000)

    async def take(text: bytes) -> bytes | None:
        return text if b'"id":1,' in text else None

    async def first(answer: Answer) -> bytes | None:
        return await resumption.first(conversation, answer, reader, take)

    async with egress.client(seconds=2) as http:
        found = await conversation.post(http, conversation.headers(), b"{}", first)
        if found is None:
            found = await resumption.rest(http, conversation, reader, take)
    return found


async def stream(request: web.Request, *events: bytes, breaks_off: bool = False) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for event in events:
        await answer.write(event)
    if breaks_off and request.transport is not None:
        request.transport.abort()
    return answer


@pytest.mark.parametrize("breaks_off", [False, True])
def test_the_rest_is_asked_for_after_the_last_event_when_the_server_wants_it(breaks_off: bool) -> None:  # noqa: FBT001
    seen: list[tuple[str, float]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            note = b'id: a\ndata: {"method":"notifications/message"}\n\n'
            return await stream(request, b"retry: 300\n\n", note, b"id: b\ndata: half", breaks_off=breaks_off)
        assert (request.headers["Mcp-Session-Id"], request.headers["Accept"]) == ("s1", "text/event-stream")
        seen.append((request.headers["Last-Event-ID"], time.monotonic()))
        if len(seen) == 1:
            return await stream(request, b"id: c\nretry: 20\ndata: \n\n")
        return await stream(request, b"data: " + RESULT + b"\n\n")

    began = time.monotonic()
    assert served(answer, lambda url: asked(url, upstream.LEGACY[0])) == RESULT
    assert [last for last, _ in seen] == ["a", "c"]  # of an event that was cut off nothing is left
    assert seen[0][1] - began >= 0.3
    assert seen[1][1] - seen[0][1] < 0.3


@pytest.mark.parametrize(
    ("version", "event"),
    [
        (upstream.MODERN, b"id: a\ndata: \n\n"),
        (upstream.LEGACY[0], b"data: \n\n"),
        (upstream.LEGACY[0], b"id: a\0b\ndata: \n\n"),
        (upstream.LEGACY[0], b"id: " + b"a" * 600 + b"\ndata: \n\n"),
    ],
)
def test_a_stream_without_a_place_ends_the_request(version: str, event: bytes) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.method == "POST"
        return await stream(request, event)

    with pytest.raises(Unreachable, match="too early"):
        served(answer, lambda url: asked(url, version))


@pytest.mark.parametrize("status", [404, 405, 400])
def test_a_server_that_does_not_go_on_leaves_the_request_unknown(status: int) -> None:
    """A refusal of the GET says nothing of the request, which the server has seen."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await stream(request, b"id: a\nretry: 10\ndata: \n\n")
        return web.Response(status=status)

    with pytest.raises(Unreachable) as raised:
        served(answer, lambda url: asked(url, upstream.LEGACY[0]))
    assert "status" not in raised.value.detail


def test_a_server_that_never_answers_has_as_long_as_one_request() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, b"id: a\nretry: 10\ndata: \n\n")

    with pytest.raises(TimeoutError):
        served(answer, lambda url: asked(url, upstream.LEGACY[0]))


@pytest.mark.parametrize(("supported", "methods"), [
    ([upstream.MODERN], ["server/discover", "server/discover"]),
    (["2027-01-01", "2025-11-25"], ["server/discover", "initialize", "notifications/initialized"]),
    ("2026-07-28", ["server/discover", "initialize", "notifications/initialized"]),
])  # fmt: skip
def test_a_refused_version_is_asked_for_again_where_the_server_names_it(supported: object, methods: list[str]) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        seen.append(message["method"])
        if len(seen) == 1:
            error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": supported}}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)
        if "id" not in message:
            return web.Response(status=202)
        result = {"supportedVersions": [upstream.MODERN], "protocolVersion": "2025-11-25", "capabilities": {}}
        return web.Response(
            text=json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}), content_type="application/json"
        )

    async def begin(url: str) -> Conversation:
        async with egress.client(seconds=2) as http:
            return await upstream.begin(http, Target(url))

    assert served(answer, begin).is_modern is (supported == [upstream.MODERN])
    assert seen == methods
