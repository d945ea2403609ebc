"""The company's systems as one small MCP server, bare ASGI: `python -m scripts.demo.servers.office --port 8103`.

`POST /<system>/mcp` speaks MCP (2026-07-28) and wants `Authorization: Bearer <UPSTREAM_SECRET>`, as the gateway injects
it; a call answers with a sentence. `POST /control/drift` lets the systems from then on say what `company.DRIFT` says:
the change of definitions that the product must notice. `/parcels/...` is a REST API, and needs the same credential, but
for its document.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from scripts.demo.data import company
from scripts.demo.servers import parcels

HOST = "localhost"
MODERN = "2026-07-28"
_PAGE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type Receive = Callable[[], Awaitable[dict[str, Any]]]


def offered(system: str, *, drifted: bool) -> list[dict[str, Any]]:
    """Return the tools of a system as it lists them, before or after the drift."""
    changes = company.DRIFT.get(system, {}) if drifted else {}
    (system_spec,) = (department for department in company.SYSTEMS if department.slug == system)
    return [tool.definition(**changes.get(tool.name, {})) for tool in system_spec.tools]


class Office:
    """The ASGI application."""

    def __init__(self, secret: str, *, drifted: bool = False) -> None:
        self._expected = f"Bearer {secret}".encode()
        self._drifted = drifted
        self._parcels = parcels.Parcels()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = scope["path"].strip("/")
        if path == "healthz":
            await _answer(send, 200, {"status": "ok"})
        elif path == parcels.DOCUMENT:
            await _answer(send, 200, parcels.OPENAPI)
        elif not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), self._expected):
            await _answer(send, 401, {"error": "The upstream credential is missing or wrong."})
        elif path == "control/drift":
            self._drifted = True
            await _answer(send, 200, {"drifted": True})
        elif path.startswith(f"{parcels.SLUG}/"):
            below, body = path.removeprefix(f"{parcels.SLUG}/"), await _body(receive)
            await _answer(send, *self._parcels.answer(scope["method"], below, scope["query_string"], body))
        elif (system := path.removesuffix("/mcp")) in company.SERVED and scope["method"] == "POST":
            await self._say(system, json.loads(await _body(receive)), send)
        else:
            await _answer(send, 404, {"error": "There is nothing here."})

    async def _say(self, system: str, message: dict[str, Any], send: Send) -> None:
        if "id" not in message:
            await _answer(send, 202, None)
            return
        result = self._result(system, message["method"], message.get("params", {}))
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        reply |= {"error": {"code": -32601, "message": "Unknown method"}} if result is None else {"result": result}
        await _answer(send, 404 if result is None else 200, reply)

    def _result(self, system: str, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        match method:
            case "server/discover":
                return {**_PAGE, "supportedVersions": [MODERN], "capabilities": {"tools": {}}}
            case "tools/list":
                return {**_PAGE, "tools": offered(system, drifted=self._drifted)}
            case "tools/call":
                text = f"{params['name']} of the {system} has done its work."
                content = [{"type": "text", "text": text}]
                return {"resultType": "complete", "content": content, "isError": False}
            case "ping":
                return {}
        return None


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _answer(send: Send, status: int, body: object) -> None:
    written = b"" if body is None else json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(written)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": written})


def main(arguments: list[str]) -> int:
    """Serve on loopback until a signal ends it."""
    parser = argparse.ArgumentParser(prog="office", description="The demo's company systems, on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--drifted", action="store_true", help="begin after the drift")
    options = parser.parse_args(arguments)
    secret = os.environ.pop("UPSTREAM_SECRET", "")
    if not secret:
        parser.error("give the upstream credential in UPSTREAM_SECRET")
    uvicorn.run(
        Office(secret, drifted=options.drifted), host=HOST, port=options.port, log_level="warning", lifespan="off"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
