"""The way out through a connector: TLS from here to the system, over bytes that another program carries.

A node has the links of the connectors, and hands in `dial`. A worker has none: it asks the nodes by a row of the
database, which is the one place that both reach, and the nodes do the asking with what they have.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from audit import clock
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.connectors.models import RelayedDiscovery
from entitlements.errors import DomainError
from entitlements.networks import rules
from entitlements.networks.network import Network

type Dial = Callable[[str], Awaitable[socket.socket]]
"""Opens a relayed connection to a `host:port`. Raises NoConnector, and what `connectors.streams` raises."""

HTTPS: Final = 443
CONNECT_SECONDS: Final = 10.0
"""Seconds for a relayed connection and its TLS, by whichever connector."""
TAKEN_SECONDS: Final = 5.0
"""Seconds in which a node takes what a worker asks."""
ANSWERED_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.2
_KEPT: Final = timedelta(minutes=10)


class NoConnector(ConnectionError):
    """No connector of the system is connected here."""


class Failed(DomainError):
    """The system did not answer the node that asked it through a connector."""

    code, status = Code.UPSTREAM_UNAVAILABLE, HTTPStatus.BAD_GATEWAY


class Connector(aiohttp.BaseConnector):
    """A pool whose connections are relayed: the library asks it for each new one."""

    def __init__(self, network: Network, dial: Dial | None, connections: int) -> None:
        super().__init__(limit=connections, keepalive_timeout=30)
        self._network, self._dial = network, dial
        self._tls = network.tls() or ssl.create_default_context()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - its name
    ) -> ResponseHandler:
        """Open a connection to a listed host and port, over TLS with its name. Raises OSError, TimeoutError."""
        del traces, timeout
        host, port = req.url.raw_host or "", req.url.port or HTTPS
        if self._dial is None or req.url.scheme != "https" or not is_listed(host, port, self._network):
            raise NoConnector
        async with asyncio.timeout(CONNECT_SECONDS):
            relayed = await self._dial(rules.relayed(host, port))
            try:
                _, protocol = await self._loop.create_unix_connection(
                    self._factory, sock=relayed, ssl=self._tls, server_hostname=host
                )
            except BaseException:
                relayed.close()
                raise
        return protocol


def is_listed(host: str, port: int, network: Network) -> bool:
    """Say whether the connectors of a system reach a host and port for it."""
    try:
        return rules.relayed(host, port) in network.relayed
    except DomainError:
        return False


def ask(system: System) -> tuple[list[dict[str, Any]], bool]:
    """Have a node list a system's tools; says whether the list is whole. Raises Failed, with the stage as detail."""
    now = clock.now()
    RelayedDiscovery.objects.filter(system=system, asked_at__lt=now - _KEPT).delete()
    asked = RelayedDiscovery.objects.create(system=system, asked_at=now)
    try:
        _wait(asked)
    finally:
        RelayedDiscovery.objects.filter(pk=asked.pk).delete()
    if asked.problem:
        raise Failed(stage=asked.problem)
    return asked.tools or [], asked.is_whole


def _wait(asked: RelayedDiscovery) -> None:
    """Wait until a node has taken and answered what was asked. Raises Failed."""
    began = time.monotonic()
    while asked.answered_at is None:
        waited = time.monotonic() - began
        if not asked.node and waited > TAKEN_SECONDS:
            raise Failed(stage="connector")
        if waited > ANSWERED_SECONDS:
            raise Failed(stage="timeout")
        time.sleep(_LOOK_SECONDS)
        asked.refresh_from_db()
