"""Tokens: an exchange with its redemption, and introspection, against stock django-oauth-toolkit on the same servers.

Ours: leg 1 and leg 2 by `client_secret_basic`, two requests, each decided, recorded and committed; each session
has an ID token of its own, which is exchanged four times. Theirs: one request, client credentials, with the password
hash that it ships with and with a secret compared as it is. Ours in one edge process, theirs on granian WSGI with one
worker, PostgreSQL with fsync, sixteen connections. CPU time is the serving processes' own; beside it PostgreSQL's is
counted too, on both sides.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from joserfc import jwk

from scripts.devservers import free_port
from tests.benchmarks import load, measure, processes
from tests.benchmarks.forms import BEARER, basic, id_token, leg_1
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

CONNECTIONS = 16
EXCHANGES = 4
"""How often each ID token is exchanged."""
LIVE = 20
"""How many tokens are asked about."""


def form(server: Server, path: str, headers: Mapping[str, str], **fields: str) -> bytes:
    """Return the request that posts a form."""
    return load.request(server.origin + path, urlencode(fields).encode(), headers)


class Ours:
    """Both legs and introspection at the product's own endpoints."""

    def __init__(self, server: Server, made: Mapping[str, Any]) -> None:
        self.server, self.made = server, made
        self.headers = basic(made["client"], made["secret"])
        self.path = "/as/time"
        self.live: list[bytes] = []
        self._key, self._begun = jwk.import_key(made["key"]), int(time.time()) - 60
        self._sign_ins = itertools.count()
        self._first: list[bytes] = []

    def sign_in(self, count: int) -> None:
        """Let people sign in for the next `count` exchanges, each at a second of their own."""
        self._first = [self._leg_1(next(self._sign_ins)) for _ in range(-(-count // EXCHANGES))]

    def _leg_1(self, number: int) -> bytes:
        login = f"person-{number % self.made['people']}"
        token = id_token(self._key, self.made["client"], login, self._begun - number)
        return form(self.server, "/idp/token", self.headers, **leg_1(self.made, token))

    async def exchange(self, caller: load.Caller, number: int) -> None:
        """Do one exchange and redeem what came of it."""
        answer = json.loads(await caller.send(self._first[number % len(self._first)]))
        second = form(
            self.server, f"{self.path}/token", self.headers, grant_type=BEARER, assertion=answer["access_token"]
        )
        token = json.loads(await caller.send(second))["access_token"]
        if len(self.live) < LIVE:
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
            if client == "plain" and number < LIVE:
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
        database = stage.postgres()

        def turn(server: Server, operation: load.Operation, times: int = 1, least: int = 20) -> Times:
            operations = max(count * times, least)
            return load.drive(server, operation, operations, connections=CONNECTIONS, database=database)

        def exchanges() -> Times:
            ours.sign_in(max(count, 20))
            return turn(edge, ours.exchange)

        exchanges()
        turn(other, theirs.credentials("plain"))
        issuing = measure.interleaved(
            {
                "ours: exchange and redemption": exchanges,
                "django-oauth-toolkit, plain secret": lambda: turn(other, theirs.credentials("plain")),
                "django-oauth-toolkit, as shipped": lambda: load.drive(
                    other, theirs.credentials("hashed"), max(count // 50, 4), connections=4, database=database
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
