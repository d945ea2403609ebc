"""The local servers of this node: a child for each system, agent and person, spoken to as any upstream is.

Each node has children of its own: a request is never handed to another node's child.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Final

import aiohttp

from entitlements.node.refusals import Closed
from entitlements.node.upstream_sessions import Key
from entitlements.node.writes import Writes
from entitlements.stdio.children import Children, Owner
from entitlements.stdio.command import Command
from entitlements.upstream import egress, upstream

_FAILED: Final = """
UPDATE entitlements_stdiosystem c SET problem = %s, stderr = %s, failed_at = clock_timestamp()
FROM entitlements_system y WHERE y.id = c.system_id AND y.slug = %s RETURNING c.system_id
"""


class LocalServers:
    """The children of this node, by the callers whose they are."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes
        self._children = Children(report=self._report)
        self._http: aiohttp.ClientSession | None = None
        self._keys: defaultdict[tuple[str, Owner], set[Key]] = defaultdict(set)
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, system: str, command: Command, key: Key) -> tuple[aiohttp.ClientSession, upstream.Conversation]:
        """Return the conversation with this caller's child, started if need be. Raises Unreachable."""
        if self._http is None:
            self._http = egress.client(connections=1)  # what every conversation is given, and these never use
        if not command.is_shared:
            self._keys[system, _owner(key)].add(key)
        return self._http, await self._children.get(self._http, system, command, _owner(key))

    def held(self) -> list[tuple[str, Key]]:
        """Name every caller who has a child here, by system."""
        alive = set(self._children.owners())
        for gone in self._keys.keys() - alive:
            del self._keys[gone]
        return [(system, key) for (system, _), keys in self._keys.items() for key in keys]

    def end(self, system: str, key: Key) -> None:
        """End the child of a caller whose rights are gone, also where another client of theirs uses it."""
        if self._keys.pop((system, _owner(key)), None) is not None:
            self._children.end(system, _owner(key))

    def forget_system(self, system: str) -> None:
        """Have the children of a system end as soon as nothing waits for them."""
        self._children.end_system(system)

    def sweep(self) -> None:
        """End the children that nobody used for long, and notice those that ended by themselves."""
        self._children.sweep()

    async def close(self) -> None:
        """End every child."""
        await self._children.close()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)
        if self._http is not None:
            await self._http.close()

    def _report(self, system: str, why: str, stderr: str) -> None:
        task = asyncio.create_task(self._write_down(system, why, stderr))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _write_down(self, system: str, why: str, stderr: str) -> None:
        """Keep for the owner why a child ended or did not start; that it cannot be kept changes no call."""
        with contextlib.suppress(Closed):
            await self._writes.run(_FAILED, [why, stderr, system])


def _owner(key: Key) -> Owner:
    agent, person, _ = key
    return agent, person
