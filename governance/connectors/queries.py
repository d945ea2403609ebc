"""What the page of a system's network shows of its connectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from audit import clock
from entitlements.connectors.models import Connector

FRESH: Final = timedelta(minutes=2)
"""A node says so often within this time that a connector is connected; what is older is of a node that is gone."""
_SHOWN: Final = (Connector.State.PENDING, Connector.State.ACTIVE)


@dataclass(frozen=True, slots=True)
class ShownConnector:
    """A connector that counts, and the nodes that it is connected to."""

    row: Connector
    nodes: tuple[str, ...]
    is_code_over: bool


def shown(rows: Iterable[Connector]) -> list[ShownConnector]:
    """Return the connectors that are not revoked, by their place."""
    now = clock.now()
    held = sorted((row for row in rows if row.state in _SHOWN), key=lambda row: row.place)
    return [ShownConnector(row, _connected(row, now), row.code_ends_at <= now) for row in held]


def _connected(row: Connector, now: datetime) -> tuple[str, ...]:
    return tuple(sorted(node for node, at in row.nodes.items() if now - datetime.fromisoformat(at) < FRESH))
