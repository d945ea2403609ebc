"""Two processes for a soak: an upstream that logs what arrives when, and a caller that keeps to a rate.

Moments are those of the clock that never steps (`time.monotonic`), which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from aiohttp import web

MODERN = "2026-07-28"
PATIENCE = 15.0
"""Seconds after which a call to a node that hangs is given up."""


def serve(port: int, log: str) -> None:
    """Answer every call at once, after its moment and its argument `of` are in the log."""
    kept = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if "id" not in body:
            return web.Response(status=202)
        result: dict[str, Any] = {"supportedVersions": [MODERN], "capabilities": {}}
        if body["method"] == "tools/call":
            os.write(kept, f"{time.monotonic()} {body['params']['arguments']['of']}\n".encode())
            result = {"content": [{"type": "text", "text": "done"}]}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    app = web.Application()
    app.router.add_route("*", "/mcp", handle)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


async def call_all(plan: dict[str, Any], log: Path) -> None:
    """Call one target after the other at each node in turn, at a rate, whether or not answers come; log each answer."""
    order = itertools.cycle(itertools.product(plan["targets"], plan["bases"]))
    begun, count = time.monotonic(), int(plan["rate"] * plan["seconds"])
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=200)
    with log.open("w") as out:
        async with httpx2.AsyncClient(timeout=PATIENCE, limits=limits) as http, asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, begun + number / plan["rate"] - time.monotonic()))
                target, base = next(order)
                group.create_task(_call(http, base, {"meta": plan["meta"], **target}, out))


async def _call(http: httpx2.AsyncClient, base: str, target: dict[str, Any], out: Any) -> None:  # noqa: ANN401 - a file
    params = {"_meta": target["meta"], "name": "act", "arguments": {"of": target["of"]}}
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN}
    headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "act", "Authorization": f"Bearer {target['token']}"}
    began = time.monotonic()
    try:
        answer = await http.post(f"{base}{target['path']}", json=body, headers=headers)
        said = answer.json()
        result = said.get("result", {})
        denied = said["error"].get("data", {}) if "error" in said else result.get("_meta", {}).get("mandate/denial", {})
        outcome = str(denied.get("code") or ("done" if "content" in result else answer.status_code))
    except (httpx2.HTTPError, ValueError) as why:
        outcome = type(why).__name__
    line = {"of": target["of"], "at": base, "began": began, "took": time.monotonic() - began, "outcome": outcome}
    out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "upstream":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        asyncio.run(call_all(json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])))
