"""Which node a process is, and how long it may serve: two seconds from the last poll that it acknowledged."""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import Final

from django.conf import settings

from entitlements.feed.changes import LEASE_SECONDS

NEVER: Final = float("-inf")
_SEPARATOR: Final = "/"


def own_name() -> str:
    """Return the name of this process: the operator's, or one that no other process has."""
    return settings.NODE_ID or f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(3)}"


def of_worker(host: str, number: int) -> str:
    """Return the name of a worker of a host: each is a node of its own."""
    return f"{host}{_SEPARATOR}{number}"


def worker(node: str) -> str:
    """Return which worker of its host a node is; empty where a process is all of its host."""
    return node.partition(_SEPARATOR)[2]


class Lease:
    """What the rest of a node asks about the change feed. All moments are of the monotonic clock."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.position = 0
        self.is_listening = False
        self.lapses = 0
        """How often the lease was renewed after it had lapsed: what others may have taken meanwhile is in doubt."""
        self._renewed = NEVER

    @property
    def _polled(self) -> float:
        return self._renewed

    @_polled.setter
    def _polled(self, moment: float) -> None:
        self.lapses += not self.is_alive
        self._renewed = moment

    @property
    def held_since(self) -> float:
        """When the poll that the lease rests on began."""
        return self._polled

    @property
    def is_alive(self) -> bool:
        """Whether this node may serve."""
        return time.monotonic() - self._polled <= LEASE_SECONDS


class Acknowledged:
    """Whether a revoker has seen this node without a break, so that a lease may rest on its last acknowledgement.

    A revoker waits for a node until what the node said last is older than a lease. A poll that read before a change was
    committed, and is acknowledged after the lease before it has lapsed, had no revocation wait for it: it gives no
    lease, the next one does.
    """

    def __init__(self) -> None:
        self._sent = NEVER

    def note(self, sent: float) -> bool:
        """Note an acknowledgement that is committed now and was sent then; say whether a lease may rest on it."""
        is_unbroken = time.monotonic() - self._sent <= LEASE_SECONDS
        self._sent = sent
        return is_unbroken
