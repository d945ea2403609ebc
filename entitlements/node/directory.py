"""The systems behind the gateway as a call needs them: where to, by what credential, with which definitions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.credential_policy import policy
from entitlements.definitions import offers, task_support
from entitlements.definitions.task_support import NO_TASKS, TaskSupport
from entitlements.networks import network
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import Snapshots
from entitlements.rest import read
from entitlements.rest.read import Operations
from entitlements.secrets import vault
from entitlements.stdio.command import Command
from entitlements.upstream import mcp_headers, own_addresses, upstream

SECONDS: Final = 60.0
MISSES_A_SECOND: Final = 20.0
"""How often names that are none of our systems' make us look again whether they are by now."""
_MOST_TRIES: Final = 10

_SYSTEM: Final = f"""
SELECT y.id, y.name, y.kind, y.upstream_url, y.denial_shape, {vault.COLUMNS},
       array(SELECT e.scope FROM entitlements_entitlement e WHERE e.system_id = y.id AND e.enabled ORDER BY e.scope)
FROM entitlements_system y LEFT JOIN entitlements_secret s ON s.system_id = y.id AND s.withheld_at IS NULL
WHERE y.slug = %s
"""  # noqa: S608 - the columns are constants
_COMMAND: Final = """
SELECT c.command, c.terms, c.arguments, c.is_shared FROM entitlements_stdiosystem c WHERE c.system_id = %s
"""
_NAMES: Final = "SELECT slug FROM entitlements_system WHERE kind = ANY(%s)"
_TOOLS: Final = """
SELECT t.name, v.id::text, v.definition
FROM entitlements_tool t JOIN entitlements_toolversion v ON v.id = t.approved_id WHERE t.system_id = %s
"""
_UNAPPROVED: Final = """
SELECT t.name, v.definition FROM entitlements_tool t JOIN entitlements_toolversion v ON v.id = t.seen_id
WHERE t.system_id = %s AND t.seen_id IS DISTINCT FROM t.approved_id
"""
"""What a REST API offers beside what is approved: no path may lead there under the name of another tool."""
_STOPPED: Final = """
SELECT t.name FROM entitlements_tool t
WHERE t.system_id = %s AND t.primitive = 'resource' AND t.approved_id IS NULL AND t.state IN ('disabled', 'quarantined')
"""
_REFUSED: Final = "SELECT r.refused FROM entitlements_restapi r WHERE r.system_id = %s"
"""What its document offers and no tool is: no path may lead there either."""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ListedTool:
    """An approved tool as clients see it: its version, its definition as JSON, its arguments in headers."""

    version: str
    definition: bytes
    mirrored: Mapping[str, mcp_headers.Path]
    is_listable: bool
    completes: bool = False
    tasks: TaskSupport = NO_TASKS


@dataclass(frozen=True, slots=True)
class ServedSystem:
    """One system that the gateway serves."""

    slug: str
    name: str
    shape: str
    target: upstream.Target
    scopes: tuple[str, ...]
    tools: Mapping[str, ListedTool]
    read_at: float
    operations: Operations | None = None
    """What its tools are as requests, of a REST API; of every other system None."""
    command: Command | None = None
    """What a local server is started by."""
    stopped: frozenset[str] = frozenset()
    """The resources that a person has stopped before they were approved; no template opens them."""


class Directory:
    """Reads systems on first use and keeps each until a change of it, of a tool of it or of its credential.

    The names of all systems are read together, so that a client that asks for unknown names costs only some
    statements a second, however often it asks. Each system is read once at a time.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._entries: dict[str, ServedSystem] = {}
        self._names: frozenset[str] | None = None
        self._reading: dict[str, asyncio.Task[ServedSystem | None]] = {}
        self._reading_names: asyncio.Task[None] | None = None
        self.generation = 0
        self._misses_left, self._counted_at = MISSES_A_SECOND, time.monotonic()

    async def get(self, slug: str) -> ServedSystem | None:
        """Return a system by its slug; None when the gateway serves no such one. Raises Closed."""
        entry = self._entries.get(slug)
        if entry is not None and time.monotonic() - entry.read_at < SECONDS:
            return entry
        if not await self.knows(slug):
            return None
        task = self._reading.get(slug)
        if task is None:
            task = self._reading[slug] = asyncio.create_task(self._read_and_keep(slug))
            task.add_done_callback(lambda done: self._reading.get(slug) is done and self._reading.pop(slug))
        return await asyncio.shield(task)

    async def knows(self, slug: str) -> bool:
        """Say whether the gateway serves a system of this name. Raises Closed."""
        if self._names is not None and slug not in self._names and self._may_look_again():
            await self._read_names()
        for _ in range(_MOST_TRIES):
            if self._names is not None:
                return slug in self._names
            await self._read_names()
        raise Closed(Code.FEED_UNKNOWN)

    def forget_system(self, slug: str) -> None:
        """Read one system again from now on."""
        self.generation += 1
        self._entries.pop(slug, None)
        self._reading.pop(slug, None)

    def forget(self) -> None:
        """Read everything again from now on."""
        self.generation += 1
        self._names, self._reading_names = None, None
        self._entries.clear()
        self._reading.clear()

    def _may_look_again(self) -> bool:
        now = time.monotonic()
        left = self._misses_left + (now - self._counted_at) * MISSES_A_SECOND
        self._misses_left, self._counted_at = min(left, MISSES_A_SECOND), now
        if self._misses_left < 1:
            return False
        self._misses_left -= 1
        return True

    async def _read_names(self) -> None:
        task = self._reading_names
        if task is None or task.done():
            task = self._reading_names = asyncio.create_task(self._query_names(self.generation))
        await asyncio.shield(task)

    async def _query_names(self, generation: int) -> None:
        rows = await self._snapshots.query(_NAMES, [list(System.SERVED)])
        if generation == self.generation:
            self._names = frozenset(slug for (slug,) in rows)

    async def _read_and_keep(self, slug: str) -> ServedSystem | None:
        """Read a system; what changed while it was read is read again, so that no call goes to an old address."""
        for _ in range(_MOST_TRIES):
            generation = self.generation
            entry = await self._read(slug)
            if generation == self.generation:
                if entry is not None:
                    self._entries[slug] = entry
                return entry
        raise Closed(Code.FEED_UNKNOWN)

    async def _read(self, slug: str) -> ServedSystem | None:
        rows = await self._snapshots.query(_SYSTEM, [slug])
        if not rows or rows[0][2] not in System.SERVED:
            return None
        pk, name, kind, url, shape, *secret, scopes = rows[0]
        command = await self._command(pk) if kind == System.Kind.STDIO else None
        if kind == System.Kind.STDIO and command is None:
            return None  # no command is in force for it
        in_force = policy.of_rows(await self._snapshots.query(policy.CURRENT, ()))
        credential = vault.opened(pk, tuple(secret[:4]), tuple(secret[4:]), in_force)
        approved = await self._snapshots.query(_TOOLS, [pk])
        operations = None
        if kind == System.Kind.HTTP:
            others = await self._snapshots.query(_UNAPPROVED, [pk])
            operations = read.of_rows(approved, others, await self._snapshots.query(_REFUSED, [pk]))
        stopped = frozenset(name for (name,) in await self._snapshots.query(_STOPPED, [pk]))
        tools = {tool: _listed_tool(version, raw, tool, operations) for tool, version, raw in approved}
        way = network.of_rows(pk, await self._snapshots.query(network.CURRENT, [pk]))
        if way is not None:
            await own_addresses.refresh()
        target = upstream.Target(url, credential, way)
        return ServedSystem(
            slug, name, shape, target, tuple(scopes), tools, time.monotonic(), operations, command, stopped
        )

    async def _command(self, system: int) -> Command | None:
        rows = await self._snapshots.query(_COMMAND, [system])
        name, terms, arguments, is_shared = rows[0] if rows else ("", None, [], None)
        return None if terms is None else Command.of_terms(name, terms, arguments, is_shared=is_shared)


def _listed_tool(version: str, raw: Mapping[str, Any], name: str, operations: Operations | None) -> ListedTool:
    mirrored = mcp_headers.annotated(raw.get("inputSchema"))
    is_listable = mirrored is not None and (operations is None or name in operations)
    served, tasks = _encode(offers.served(raw)), task_support.of(raw)
    return ListedTool(version, served, mirrored or {}, is_listable, offers.completes(raw), tasks)
