"""A server in the place of Slack that checks the documented shapes of its Web API and of Socket Mode."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests import waits

BOT: Final = "xoxb-1234567890-canary-of-the-bot"
APP: Final = "xapp-1-A0-1234567890-canary-of-the-app"


class Slack:
    """`users` maps e-mail addresses to ids; `errors` names the error that a method answers; `sent` keeps messages.

    An envelope must be acknowledged within `patience`: three seconds, as Slack documents.
    """

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.team_of_users = "T1"
        self.errors: dict[str, str] = {}
        self.busy = 0
        self.calls: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.port = 0
        self.envelopes: list[list[dict[str, Any]]] = []
        self.acknowledged: list[dict[str, Any]] = []
        self.sockets = 0
        self.patience = 3.0
        self.homes: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """Where its Web API is."""
        return f"http://127.0.0.1:{self.port}/api/"

    def application(self) -> web.Application:
        """Return the server."""
        app = web.Application()
        app.router.add_post("/api/{method}", self._method)
        app.router.add_get("/link/", self._link)
        return app

    async def _method(self, request: web.Request) -> web.StreamResponse:
        method, fields = request.match_info["method"], dict(await request.post())
        self.calls.append(method)
        wanted = APP if method == "apps.connections.open" else BOT
        if "token" in fields or request.headers.get("Authorization") != f"Bearer {wanted}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if self.busy:
            return web.json_response({"ok": False}, status=429, headers={"Retry-After": str(self.busy)})
        if error := self.errors.get(method):
            return web.json_response({"ok": False, "error": error})
        return web.json_response({"ok": True, **self._answer(method, fields)})

    def _answer(self, method: str, fields: dict[str, Any]) -> dict[str, Any]:
        if method == "auth.test":
            return {"team": "Example Ltd", "team_id": "T1", "user_id": "UBOT"}
        if method == "users.lookupByEmail":
            user = self.users.get(str(fields["email"]))
            return {"user": {"id": user}} if user else {"ok": False, "error": "users_not_found"}
        if method == "apps.connections.open":
            return {"url": f"ws://127.0.0.1:{self.port}/link/?ticket=t"}
        if method == "users.info":
            email = next((email for email, user in self.users.items() if user == fields["user"]), None)
            known = {"team_id": self.team_of_users, "profile": {"email": email}}
            return {"user": known} if email else {"ok": False, "error": "user_not_found"}
        if method == "views.publish":
            self.homes[str(fields["user_id"])] = json.loads(str(fields["view"]))
            return {}
        assert method == "chat.postMessage"
        message = {**fields, "blocks": json.loads(str(fields["blocks"]))}
        assert {block["type"] for block in message["blocks"]} <= {"section", "actions"}
        self.sent.append(message)
        return {"channel": "D1", "ts": "1.1"}

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets += 1
        await socket.send_json({"type": "hello", "num_connections": 1})
        for envelope in self.envelopes.pop(0) if self.envelopes else []:
            await socket.send_json(envelope)
            if envelope["type"] == "disconnect":
                break
            message = await asyncio.wait_for(socket.receive(), self.patience)
            assert message.type == WSMsgType.TEXT
            self.acknowledged.append(json.loads(message.data))
        await socket.close()
        return socket


@contextmanager
def slack() -> Iterator[Slack]:
    """Run one while the block lasts."""
    there, started, loop = Slack(), threading.Event(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(there.application(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        there.port = runner.addresses[0][1]
        started.set()
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(waits.SECONDS)
    try:
        yield there
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
