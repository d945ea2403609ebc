"""A small MCP server over standard input and output, with tools that behave and tools that do not."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

CANCELLED: list[int] = []
ANSWERS: dict[str, Any] = {}


def say(**message: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def call(number: int, params: dict[str, Any]) -> None:
    name, given = params["name"], params.get("arguments") or {}
    token = params.get("_meta", {}).get("progressToken")
    if name == "sleep":
        time.sleep(given["seconds"])
    if name == "progress":
        for step in (1, 2):
            note = {"progressToken": token, "progress": step}
            say(method="notifications/progress", params=note)
    if name == "change":
        say(method="notifications/tools/list_changed")
    if name == "ask":
        say(id="mine", method="sampling/createMessage", params={})
        while "mine" not in ANSWERS:
            time.sleep(0.01)
    if name == "die":
        sys.stderr.write("password: hunter2-is-long\nbroken\u202e\n")
        os._exit(3)
    if name == "flood":
        sys.stdout.write("x" * (5 << 20))
        sys.stdout.flush()
        time.sleep(60)
    if name == "meta":
        given = {"meta": params.get("_meta"), "params": sorted(params), "environment": dict(os.environ)}
    facts = {"pid": os.getpid(), "place": os.path.realpath("."), "arguments": sys.argv[1:], "cancelled": CANCELLED}
    say(id=number, result=text(json.dumps({**facts, "answers": ANSWERS, "given": given})))


def told(name: str) -> dict[str, Any]:
    times = {"createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z"}
    return {"taskId": name, "status": "completed", "ttl": None, **times}


TOOL = {"name": "echo", "description": "Say it again.", "inputSchema": {"type": "object"}}
sys.stdout.write("a line that is no message\n")
for line in sys.stdin:
    message = json.loads(line)
    method, number, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "initialize":
        hello = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
        say(id=number, result={**hello, "serverInfo": {"name": "small", "version": "1"}})
    elif method == "tools/list" and "cursor" not in params:
        say(id=number, result={"tools": [TOOL], "nextCursor": "second"})
    elif method == "tools/list":
        say(id=number, result={"tools": [{**TOOL, "name": "again"}]})
    elif method == "tools/call" and "task" in params:
        say(id=number, result={"task": told("the-servers-own")})
    elif method in ("tasks/get", "tasks/list"):
        state = told("the-servers-own")
        say(id=number, result={"tasks": [state, told("of-another")]} if method == "tasks/list" else state)
    elif method == "tasks/result":
        say(id=number, result=text(f"The result of {params['taskId']}."))
    elif method == "tools/call":
        threading.Thread(target=call, args=(number, params), daemon=True).start()
    elif method == "notifications/cancelled":
        CANCELLED.append(params["requestId"])
    elif method is None:
        ANSWERS[number] = message
