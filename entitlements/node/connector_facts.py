"""What the connectors of this node are asked about: its reads and writes, and the systems that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from entitlements.connectors.relays import NotKnown
from entitlements.node.directory import Directory
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import Snapshots
from entitlements.node.writes import Writes
from entitlements.upstream.upstream import Target


class ConnectorFacts:
    """`connectors.relays.Facts` on a node."""

    def __init__(self, snapshots: Snapshots, writes: Writes, directory: Directory) -> None:
        self._snapshots, self._writes, self._directory = snapshots, writes, directory

    async def read(self, statement: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        """Run a read. Raises NotKnown."""
        try:
            return await self._snapshots.query(statement, values)
        except Closed as why:
            raise NotKnown from why

    async def write(self, statement: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        """Run a statement that may be run twice. Raises NotKnown."""
        try:
            return await self._writes.run(statement, values)
        except Closed as why:
            raise NotKnown from why

    async def target(self, system: str) -> Target | None:
        """Return where a system is. Raises NotKnown."""
        try:
            entry = await self._directory.get(system)
        except Closed as why:
            raise NotKnown from why
        return None if entry is None else entry.target
