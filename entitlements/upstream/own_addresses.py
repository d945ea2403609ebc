"""The addresses of Mandate itself: no network of a system leads there, whatever was agreed.

They are those of this machine, and those of the hosts that the settings name: console, edge, gateway, databases and
Redis. A node on another machine that no setting names is not known here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

SECONDS: Final = 60.0
"""How long what the hosts resolved to is used."""
_known: dict[str, frozenset[str]] = {}
_read_at: list[float] = []


def holds(address: str) -> bool:
    """Say whether an address, written plainly, is one of this machine or of a host that the settings name."""
    return _is_of_this_machine(address) or any(address in found for found in _known.values())


def refresh_now() -> None:
    """Look the hosts up, unless that was done just now. One that is not found keeps what it had."""
    if _is_due():
        for host in hosts():
            with suppress(OSError):
                _keep(host, socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


async def refresh() -> None:
    """Do as `refresh_now` where an event loop runs."""
    if _is_due():
        loop = asyncio.get_running_loop()
        for host in hosts():
            with suppress(OSError):
                _keep(host, await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def hosts() -> list[str]:
    """Return the hosts that the settings name."""
    databases = [*settings.DATABASES.values(), settings.FEED_DATABASE, settings.ISSUE_DATABASE]
    named = [str(each.get("HOST") or "") for each in databases]
    urls = (settings.CONSOLE_URL, settings.EDGE_URL, settings.GATEWAY_URL, settings.REDIS_URL.reveal())
    named += [urlsplit(url).hostname or "" for url in urls]
    return sorted({host for text in named for host in text.split(",") if host and not host.startswith("/")})


def _is_due() -> bool:
    now = time.monotonic()
    if _read_at and now - _read_at[0] < SECONDS:
        return False
    _read_at[:] = [now]
    return True


def _keep(host: str, found: Iterable[tuple[object, object, object, object, tuple[object, ...]]]) -> None:
    _known[host] = frozenset(str(where[0]) for *_, where in found)


def _is_of_this_machine(address: str) -> bool:
    """Say whether this machine has an address: the system lets a socket be bound to its own alone."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except (OSError, OverflowError):
            return False
    return True
