"""Two sides that meet in the database, and a gate at which either can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection, connections

from entitlements.clients.models import Client
from tests import databases, make, waits
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

NUMBER = "SELECT FROM producers WHERE uuid = %s FOR UPDATE"
"""What a call wants last: held, it has written all but its event."""


@dataclass
class Lanes:
    """The two sides, each with a connection and a thread of its own, and who holds the gate."""

    node: Node
    gate: psycopg.Connection[Any]
    watch: psycopg.Connection[Any]
    call: ThreadPoolExecutor
    taker: ThreadPoolExecutor
    taker_pid: int

    def wait_until_blocked(self, pid: int, doing: Future[Any]) -> None:
        """Return when a backend waits for another; fails when it finished without."""
        self._wait("SELECT cardinality(pg_blocking_pids(%s)) > 0", pid, doing)

    def wait_until_waited_for(self, pid: int, doing: Future[Any]) -> None:
        """Return when another backend waits for this one; fails when what does so finished without."""
        waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE %s = ANY(pg_blocking_pids(a.pid)))"
        self._wait(waiting, pid, doing)

    def _wait(self, question: str, pid: int, doing: Future[Any]) -> None:
        def waiting() -> bool:
            assert not doing.done(), f"it did not wait: {doing.result()}"
            return self.watch.execute(question, [pid]).fetchone() == (True,)

        waits.until(waiting)

    @property
    def call_pid(self) -> int:
        """The backend that runs the function."""
        assert self.node.raw is not None
        return self.node.raw.info.backend_pid

    @contextmanager
    def held(self, statement: str, values: list[Any]) -> Iterator[None]:
        """Hold what a call wants next, until the block ends."""
        self.gate.execute(statement, values)
        try:
            yield
        finally:
            self.gate.rollback()


def _backend() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


@contextmanager
def lanes() -> Iterator[Lanes]:
    """Make a node with a client that has a secret, and the two sides."""
    addresses = databases.addresses()
    with (
        psycopg.connect(addresses.app, autocommit=True) as raw,
        psycopg.connect(addresses.app, autocommit=True) as watch,
        psycopg.connect(addresses.owner) as gate,
        ThreadPoolExecutor(1) as call,
        ThreadPoolExecutor(1) as taker,
    ):
        node = nodes.node(raw)
        node.client, _ = make.client(node.agent, auth=Client.Auth.CLIENT_SECRET_BASIC)
        yield Lanes(node, gate, watch, call, taker, taker.submit(_backend).result())
        for side in (taker, call):
            side.submit(connections.close_all).result()
