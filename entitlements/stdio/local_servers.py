"""The children of a node by its callers: for each system, agent and person, whichever client they come by.

Each node has children of its own: a request is never handed to another node's child.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import aiohttp

from entitlements.stdio.children import Children, Owner
from entitlements.stdio.command import Command
from entitlements.upstream import egress, upstream

type Key = tuple[str, str | None, str]
"""Agent, person and client."""
type WriteDown = Callable[[str, str, str], Awaitable[None]]
"""Keeps for the owner of a system why a child of it ended or did not start, and the end of its standard error."""


class LocalServers:
    """The children of this node, by the callers whose they are."""

    def __init__(self, write_down: WriteDown) -> None:
        self._write_down = write_down
        self._children = Children(report=self._report)
        self._http: aiohttp.ClientSession | None = None
        self._keys: defaultdict[tuple[str, Owner], set[Key]] = defaultdict(set)
        self._under_way: set[asyncio.Future[None]] = set()

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
        """End the children that were not used for long, and notice those that ended by themselves."""
        self._children.sweep()

    async def close(self) -> None:
        """End every child."""
        await self._children.close()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)
        if self._http is not None:
            await self._http.close()

    def _report(self, system: str, why: str, stderr: str) -> None:
        task = asyncio.ensure_future(self._write_down(system, why, stderr))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _owner(key: Key) -> Owner:
    agent, person, _ = key
    return agent, person
