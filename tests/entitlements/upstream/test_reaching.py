"""At which stage reaching a system failed: one word for each cause. A list that breaks off is kept that far."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import test_utils, web
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from entitlements.catalog import discovery
from entitlements.errors import DomainError
from entitlements.upstream import reach, upstream
from entitlements.upstream.reach import Stage
from entitlements.upstream.upstream import Target
from tests import make

pytestmark = pytest.mark.loopback

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def demo(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True  # servers on loopback
    monkeypatch.setattr(upstream, "DISCOVERY_SECONDS", 0.5)


def _refusal(answer: Answer, scheme: str = "http") -> DomainError:
    """Ask a server that answers like this for its tools, and return why that failed."""

    async def visit() -> None:
        app = web.Application()
        app.router.add_route("*", "/mcp", answer)
        async with test_utils.TestServer(app, host="127.0.0.1") as server:
            await upstream.tools(Target(f"{scheme}://localhost:{server.port}/mcp"))

    with pytest.raises(DomainError) as raised:
        asyncio.run(visit())
    return raised.value


async def _page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Hello</html>", content_type="text/html")


async def _closed(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401, text="no", content_type="text/plain")


async def _away(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://elsewhere.example/"})


async def _slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(2)
    return web.Response()


async def _huge(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[" + b"0," * (9 * 1024 * 1024), content_type="application/json")


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (_page, Stage.NOT_MCP),
        (_away, Stage.NOT_MCP),
        (_closed, Stage.SIGN_IN),
        (_slow, Stage.TIMEOUT),
        (_huge, Stage.TOO_LARGE),
    ],
)
def test_what_a_server_answers_names_the_stage(answer: Answer, stage: Stage) -> None:
    assert reach.stage(_refusal(answer)) is stage


def test_a_server_without_tls_is_refused_at_that_stage() -> None:
    assert reach.stage(_refusal(_page, "https")) is Stage.TLS


@pytest.mark.parametrize(
    ("url", "stage"),
    [
        ("http://10.1.2.3/mcp", Stage.ADDRESS),
        ("https://10.1.2.3/mcp", Stage.PRIVATE),
        ("https://inside.example/mcp", Stage.PRIVATE),
        ("https://unknown.example/mcp", Stage.NAME),
        ("http://localhost:9/mcp", Stage.CONNECTING),
    ],
)
def test_an_address_that_leads_nowhere_names_the_stage(url: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.BaseEventLoop.getaddrinfo

    async def found(loop: asyncio.BaseEventLoop, host: str, port: int, **given: Any) -> Any:  # noqa: ANN401
        if host == "unknown.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await real(loop, "10.1.2.3" if host == "inside.example" else host, port, **given)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    with pytest.raises(DomainError) as raised:
        asyncio.run(upstream.tools(Target(url)))
    assert reach.stage(raised.value) is stage


@pytest.mark.django_db
def test_what_came_of_a_list_before_it_broke_off_is_kept_and_nothing_counts_as_gone() -> None:
    system = make.system("wiki")
    held = make.tool(system, "held")

    async def answer(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.text())
        if asked["method"] == "server/discover":
            said: dict[str, Any] = {"supportedVersions": [upstream.MODERN]}
        elif "cursor" in asked["params"]:
            return web.Response(status=500, text="broken")
        else:
            said = {"tools": [{"name": "search", "inputSchema": {"type": "object"}}], "nextCursor": "2"}
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": said})

    refusal = _refusal(answer)
    assert isinstance(refusal, upstream.PartialList)
    seen = discovery.record_discovery(system, refusal.listed, by=SYSTEM, complete=False)

    held.refresh_from_db()
    system.refresh_from_db()
    assert (seen.added, seen.removed, held.state, system.discovered_at) == (["search"], [], "approved", None)
