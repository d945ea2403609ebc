"""Which node has which child, as rows: one for each system, agent and person, or one a system for all its callers.

A row is a node's while the lease of that node lives. A node whose lease lapsed may have lost its rows to another, so it
asks again before it uses a child (`is_known`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from entitlements.feed.changes import LEASE_SECONDS
from entitlements.stdio.sandbox import bubblewrap
from entitlements.stdio.sandbox.plan import Level
from entitlements.upstream import egress

type Owner = tuple[str, str | None]
"""Agent and person."""
type Write = Callable[[str, Sequence[object] | dict[str, object]], Awaitable[list[tuple[Any, ...]]]]

_TRIES: Final = 5
_SAY: Final = """
INSERT INTO entitlements_stdionode AS n (node, run, address, level, said_at)
VALUES (%(node)s, %(run)s, %(address)s, %(level)s, clock_timestamp())
ON CONFLICT (node) DO UPDATE SET run = EXCLUDED.run, address = EXCLUDED.address, level = EXCLUDED.level,
    said_at = EXCLUDED.said_at
"""
_ALIVE: Final = f"""
SELECT s.run FROM entitlements_gatewaynode g JOIN entitlements_stdionode s ON s.node = g.id
WHERE g.stopped_at IS NULL AND g.polled_at > clock_timestamp() - interval '{LEASE_SECONDS} seconds'
"""  # noqa: S608 - made of constants
_CALLER: Final = """
SELECT y.id AS system, a.id AS agent, p.id AS person FROM entitlements_system y
LEFT JOIN entitlements_agent a ON a.slug = %(agent)s LEFT JOIN entitlements_person p ON p.login = %(person)s
WHERE y.slug = %(place)s AND a.slug IS NOT DISTINCT FROM %(agent)s AND p.login IS NOT DISTINCT FROM %(person)s
"""
_OF_CALLER: Final = """c.system_id = system AND c.agent_id IS NOT DISTINCT FROM agent
AND c.person_id IS NOT DISTINCT FROM person"""
_TAKE: Final = f"""
WITH caller AS ({_CALLER}), taken AS (
    INSERT INTO entitlements_stdiochild AS c (system_id, agent_id, person_id, node, run, taken_at)
    SELECT system, agent, person, %(node)s, %(run)s, clock_timestamp() FROM caller
    ON CONFLICT (system_id, agent_id, person_id) DO UPDATE
    SET node = EXCLUDED.node, run = EXCLUDED.run, taken_at = EXCLUDED.taken_at, level = '', started_at = NULL
    WHERE c.run <> EXCLUDED.run AND c.run NOT IN ({_ALIVE})
    RETURNING c.node, c.run, '' AS address)
SELECT node, run, address FROM taken
UNION ALL
SELECT c.node, c.run, coalesce(s.address, '') FROM caller JOIN entitlements_stdiochild c
ON {_OF_CALLER} LEFT JOIN entitlements_stdionode s ON s.node = c.node AND s.run = c.run
WHERE NOT EXISTS (SELECT 1 FROM taken)
"""  # noqa: S608 - made of constants
_FIND: Final = f"""
SELECT c.node, c.run, coalesce(s.address, '') FROM ({_CALLER}) AS caller JOIN entitlements_stdiochild c
ON {_OF_CALLER} LEFT JOIN entitlements_stdionode s ON s.node = c.node AND s.run = c.run
"""  # noqa: S608 - made of constants
_STARTED: Final = f"""
UPDATE entitlements_stdiochild c SET level = %(level)s, started_at = clock_timestamp() FROM ({_CALLER}) AS caller
WHERE {_OF_CALLER} AND c.run = %(run)s
"""  # noqa: S608 - made of constants
_LEFT: Final = f"""
DELETE FROM entitlements_stdiochild c USING ({_CALLER}) AS caller WHERE {_OF_CALLER} AND c.run = %(run)s
"""  # noqa: S608 - made of constants
_CLEAR: Final = f"DELETE FROM entitlements_stdiochild c WHERE c.run NOT IN ({_ALIVE})"  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The node that has a child, and where it is asked for it."""

    node: str
    run: UUID
    address: str


@dataclass(slots=True)
class Places:
    """The rows, as one node reads and writes them. `lapses` counts how often the node's lease has lapsed."""

    write: Write
    node: str
    lapses: Callable[[], int]
    address: str = ""
    run: UUID = field(default_factory=uuid4)
    level: Level = Level.FLOOR
    _said: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known: dict[tuple[str, Owner | None], int] = field(default_factory=dict)

    async def say(self) -> None:
        """Say how this node holds children and where it is reached, once; rows of nodes that are gone go."""
        async with self._lock:
            if self._said:
                return
            self.level = await asyncio.to_thread(bubblewrap.level, has_network=False)
            await self.write(_SAY, {"node": self.node, "run": self.run, "address": self.address, "level": self.level})
            await self.write(_CLEAR, [])
            self._said = True

    def is_known(self, system: str, owner: Owner | None) -> bool:
        """Whether a child is this node's beyond doubt: the lease has not lapsed since it was taken."""
        return self._known.get((system, owner)) == self.lapses()

    async def take(self, system: str, owner: Owner | None) -> Elsewhere | None:
        """Take a child for this node, or say which living node has it. Raises Unreachable, and what `write` raises."""
        await self.say()
        for _ in range(_TRIES):
            lapses = self.lapses()
            rows = await self.write(_TAKE, self._about(system, owner))
            for node, run, address in rows:
                if run != self.run:
                    return Elsewhere(node, run, address)
                self._known[system, owner] = lapses
                return None
        raise egress.Unreachable("The caller of the local server is not known.")

    async def find(self, system: str, owner: Owner | None) -> Elsewhere | None:
        """Say which other node has a child, if one has, and take nothing. Raises what `write` raises."""
        for node, run, address in await self.write(_FIND, self._about(system, owner)):
            if run != self.run and address:
                return Elsewhere(node, run, address)
        return None

    async def started(self, system: str, owner: Owner | None, level: Level) -> None:
        """Keep how a child that was just started is held. Raises what `write` raises."""
        await self.write(_STARTED, {**self._about(system, owner), "level": level})

    async def leave(self, system: str, owner: Owner | None) -> None:
        """Let any node have the child from now on. Raises what `write` raises."""
        self._known.pop((system, owner), None)
        await self.write(_LEFT, self._about(system, owner))

    def _about(self, system: str, owner: Owner | None) -> dict[str, object]:
        agent, person = owner or (None, None)
        return {"place": system, "agent": agent, "person": person, "node": self.node, "run": self.run}
