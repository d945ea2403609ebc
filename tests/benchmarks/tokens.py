"""Tokens: an exchange with its redemption, and introspection, against stock django-oauth-toolkit on the same servers.

Ours: leg 1 and leg 2 by `client_secret_basic`, two requests, each decided, recorded and committed. Theirs: one request,
client credentials, with the password hash that it ships with and with a secret compared as it is. Both on granian WSGI
with one worker, PostgreSQL with fsync, sixteen connections. CPU time is the web processes' own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from scripts.devservers import free_port
from tests.benchmarks import load, measure, processes
from tests.benchmarks.forms import BEARER, basic, leg_1
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

CONNECTIONS = 16


def form(server: Server, path: str, headers: Mapping[str, str], **fields: str) -> bytes:
    """Return the request that posts a form."""
    return load.request(server.origin + path, urlencode(fields).encode(), headers)


class Ours:
    """Both legs and introspection at the product's own endpoints."""

    def __init__(self, server: Server, made: Mapping[str, Any]) -> None:
        self.server, self.made = server, made
        self.headers = basic(made["client"], made["secret"])
        self.path = "/as/time"
        self.first = [self._leg_1(token) for token in made["id_tokens"]]
        self.live: list[bytes] = []

    def _leg_1(self, id_token: str) -> bytes:
        return form(self.server, "/idp/token", self.headers, **leg_1(self.made, id_token))

    async def exchange(self, caller: load.Caller, number: int) -> None:
        """Do one exchange and redeem what came of it."""
        answer = json.loads(await caller.send(self.first[number % len(self.first)]))
        second = form(
            self.server, f"{self.path}/token", self.headers, grant_type=BEARER, assertion=answer["access_token"]
        )
        token = json.loads(await caller.send(second))["access_token"]
        if number < len(self.first):
            self.live.append(form(self.server, f"{self.path}/introspect", self.headers, token=token))

    async def introspect(self, caller: load.Caller, number: int) -> None:
        """Ask about a living token."""
        answer = await caller.send(self.live[number % len(self.live)])
        if b'"active":true' not in answer:
            raise load.UnexpectedError(answer.decode())


class Stock:
    """The anchor's token endpoint and its introspection."""

    SECRET = "not-a-secret-of-anybody"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.live: list[bytes] = []

    def credentials(self, client: str) -> load.Operation:
        """Return the operation that gets a token with this client's credentials."""
        headers = basic(client, self.SECRET)
        raw = form(self.server, "/o/token/", headers, grant_type="client_credentials", scope="read")

        async def operation(caller: load.Caller, number: int) -> None:
            token = json.loads(await caller.send(raw))["access_token"]
            if client == "plain" and number < 20:
                self.live.append(form(self.server, "/o/introspect/", headers, token=token))

        return operation

    async def introspect(self, caller: load.Caller, number: int) -> None:
        """Ask about a living token, authenticated by the secret that is compared as it is."""
        answer = await caller.send(self.live[number % len(self.live)])
        if b'"active": true' not in answer:
            raise load.UnexpectedError(answer.decode())


def run(stage: Stage, made: Mapping[str, Any], *, count: int, rounds: int) -> None:
    """Measure and print; `count` exchanges a turn."""
    with contextlib.ExitStack() as stack:
        command = processes.gateway(stage.gateway)
        edge = stack.enter_context(processes.running(command, stage.gateway, stage.environment))
        environment = stage.stock()
        port = free_port()
        command = processes.granian("tests.benchmarks.stock.wsgi:application", port)
        other = stack.enter_context(processes.running(command, port, {**stage.environment, **environment}))
        ours, theirs = Ours(edge, made), Stock(other)

        def turn(server: Server, operation: load.Operation, times: int = 1, least: int = 20) -> Times:
            return load.drive(server, operation, max(count * times, least), connections=CONNECTIONS)

        turn(edge, ours.exchange)
        turn(other, theirs.credentials("plain"))
        issuing = measure.interleaved(
            {
                "ours: exchange and redemption": lambda: turn(edge, ours.exchange),
                "django-oauth-toolkit, plain secret": lambda: turn(other, theirs.credentials("plain")),
                "django-oauth-toolkit, as shipped": lambda: load.drive(
                    other, theirs.credentials("hashed"), max(count // 50, 4), connections=4
                ),
            },
            rounds,
        )
        asking = measure.interleaved(
            {
                "ours: introspection": lambda: turn(edge, ours.introspect, 2),
                "django-oauth-toolkit: introspection": lambda: turn(other, theirs.introspect, 2),
            },
            rounds,
        )
    measure.served("Exchange with redemption (ours is two durable requests, theirs one)", issuing)
    measure.served("Introspection", asking)
