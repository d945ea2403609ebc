"""How the gateway finds out which version of the protocol a server speaks, where the first is refused."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import test_utils, web
from pytest_django.fixtures import Settings

from entitlements.upstream import egress, upstream
from entitlements.upstream.upstream import Target

pytestmark = pytest.mark.loopback
GREETED = ["server/discover", "initialize", "notifications/initialized"]


@pytest.mark.parametrize(
    ("code", "supported", "methods"),
    [
        (-32022, [upstream.MODERN], ["server/discover", "server/discover"]),
        (-32022, ["2027-01-01", "2025-11-25"], GREETED),
        (-32022, upstream.MODERN, GREETED),
        (-32600, [upstream.MODERN], GREETED),
    ],
)
def test_a_refused_version_is_asked_for_again_where_the_server_names_it(
    settings: Settings, code: int, supported: object, methods: list[str]
) -> None:
    settings.DEMO = True  # the server is on loopback
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        seen.append(message["method"])
        if len(seen) == 1:
            error = {"code": code, "message": "Unsupported protocol version", "data": {"supported": supported}}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)
        if "id" not in message:
            return web.Response(status=202)
        result = {"supportedVersions": [upstream.MODERN], "protocolVersion": "2025-11-25", "capabilities": {}}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})

    async def visit() -> bool:
        app = web.Application()
        app.router.add_route("*", "/mcp", answer)
        async with test_utils.TestServer(app, host="127.0.0.1") as server, egress.client(seconds=2) as http:
            begun = await upstream.begin(http, Target(f"http://localhost:{server.port}/mcp"))
        return begun.is_modern

    assert asyncio.run(visit()) is (methods != GREETED)
    assert seen == methods
