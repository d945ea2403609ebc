"""The names of nodes, as receipts and the table of nodes have them."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Final

from django.conf import settings

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
