"""The sessions with legacy upstreams that all nodes share, as rows: one for each system, agent, person and client.

Of a legacy client each session has one of its own.

A row names the session as the upstream does, sealed, since the name opens it, together with a digest of the address
and credential that it was begun with: after a change of either it is none of ours. Two nodes that begin one at the same
time agree by a unique constraint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from entitlements.node.snapshots import Snapshots
from entitlements.node.writes import Writes
from entitlements.secrets import seal
from entitlements.upstream import upstream

IDLE_SECONDS: Final = 600.0
TOUCH_SECONDS: Final = 120.0
"""How old `used_at` may be when a session is used. With the longest call it must stay below IDLE_SECONDS."""
_MOST_AT_ONCE: Final = 100

type Key = tuple[str, str | None, str]
"""Agent, person and client, as in a `Bearer`."""
type Place = tuple[Key, UUID | None]
"""Whose a session is, and for which session of a legacy client."""

_OPEN: Final = """
SELECT u.id, u.sealed, u.protocol FROM entitlements_upstreamsession u
JOIN entitlements_system y ON y.id = u.system_id
JOIN entitlements_agent a ON a.id = u.agent_id
JOIN entitlements_client c ON c.id = u.client_id
LEFT JOIN entitlements_person p ON p.id = u.person_id
WHERE u.ended_at IS NULL AND y.slug = %(system)s AND a.slug = %(agent)s AND c.identifier = %(client)s
  AND p.login IS NOT DISTINCT FROM %(person)s AND u.client_session IS NOT DISTINCT FROM %(client_session)s::uuid
"""
_KEEP: Final = """
INSERT INTO entitlements_upstreamsession
    (id, system_id, agent_id, person_id, client_id, client_session, sealed, protocol, opened_at, used_at)
SELECT %(id)s, y.id, a.id, p.id, c.id, %(client_session)s::uuid, %(sealed)s, %(protocol)s, clock_timestamp(),
       clock_timestamp()
FROM entitlements_system y
JOIN entitlements_agent a ON a.slug = %(agent)s
JOIN entitlements_client c ON c.identifier = %(client)s
LEFT JOIN entitlements_person p ON p.login = %(person)s
WHERE y.slug = %(system)s AND p.login IS NOT DISTINCT FROM %(person)s
ON CONFLICT DO NOTHING RETURNING id
"""
_TOUCH: Final = """
UPDATE entitlements_upstreamsession SET used_at = clock_timestamp() WHERE id = %s AND ended_at IS NULL RETURNING id
"""
_END: Final = """
UPDATE entitlements_upstreamsession SET ended_at = clock_timestamp() WHERE id = %s AND ended_at IS NULL RETURNING id
"""
_END_OF_CLIENT: Final = """
UPDATE entitlements_upstreamsession u SET ended_at = clock_timestamp() FROM entitlements_system y
WHERE y.id = u.system_id AND u.ended_at IS NULL AND u.client_session = %s
RETURNING y.slug, u.id, u.sealed, u.protocol
"""
_END_IDLE: Final = """
UPDATE entitlements_upstreamsession u SET ended_at = clock_timestamp() FROM entitlements_system y
WHERE y.id = u.system_id AND u.id IN (
    SELECT id FROM entitlements_upstreamsession
    WHERE ended_at IS NULL AND used_at < clock_timestamp() - make_interval(secs => %s::float8)
    ORDER BY used_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING y.slug, u.id, u.sealed, u.protocol
"""
"""What a killed node used is in no memory any more: whichever node looks first ends it."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    name: str
    target: str


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Sealed).decode


@dataclass(frozen=True, slots=True)
class IdleSession:
    """A session that was just ended here, and is to be ended at its system."""

    system: str
    row: UUID
    sealed: bytes
    protocol: str


class UpstreamSessions:
    """The rows, read and written by a node over its own connections. Each function raises Closed."""

    def __init__(self, snapshots: Snapshots, writes: Writes) -> None:
        self._snapshots, self._writes = snapshots, writes

    async def find(
        self, system: str, key: Key, session: UUID | None, target: upstream.Target
    ) -> tuple[UUID, upstream.Conversation] | None:
        """Return the session that is open for this caller; one that was begun elsewhere is ended, and is none."""
        for row, sealed, protocol in await self._snapshots.query(_OPEN, _owner(system, key, session)):
            conversation = opened(row, bytes(sealed), protocol, target)
            if conversation is not None:
                return row, conversation
            await self.end(row)
        return None

    async def keep(
        self, system: str, key: Key, session: UUID | None, conversation: upstream.Conversation
    ) -> UUID | None:
        """Share a session that was just begun; None where another node did so first, or the caller is gone."""
        row = uuid4()
        plain = _encode(_Sealed(conversation.session, _digest(conversation.target)))
        values = {
            **_owner(system, key, session),
            "id": row,
            "sealed": seal.seal(plain, place(row)),
            "protocol": conversation.version,
        }
        return row if await self._writes.run(_KEEP, values) else None

    async def touch(self, row: UUID) -> bool:
        """Note that a session is used; returns whether it is still open."""
        return bool(await self._writes.run(_TOUCH, [row]))

    async def end(self, row: UUID) -> bool:
        """End a session for all nodes; returns whether it was open, so that one node alone tells the upstream."""
        return bool(await self._writes.run(_END, [row]))

    async def end_of_client(self, session: UUID) -> list[IdleSession]:
        """End what is open for a session of a legacy client, and return it."""
        ended = await self._writes.run(_END_OF_CLIENT, [session])
        return [IdleSession(system, row, bytes(sealed), protocol) for system, row, sealed, protocol in ended]

    async def end_idle(self) -> list[IdleSession]:
        """End some sessions that no node has used for long, and return them."""
        ended = await self._writes.run(_END_IDLE, [IDLE_SECONDS, _MOST_AT_ONCE])
        return [IdleSession(system, row, bytes(sealed), protocol) for system, row, sealed, protocol in ended]


def opened(row: UUID, sealed: bytes, protocol: str, target: upstream.Target) -> upstream.Conversation | None:
    """Return the conversation that a row keeps; None where it was begun with another address or credential."""
    try:
        kept = _decode(seal.unseal(sealed, place(row)))
    except seal.SealBroken:
        return None
    if kept.target != _digest(target):
        return None
    return upstream.Conversation(target, version=protocol, session=kept.name)


def place(row: UUID) -> str:
    """Return what the sealed name of a session is bound to, so that it opens in no other row."""
    return f"upstream-session:{row}"


def _owner(system: str, key: Key, session: UUID | None) -> dict[str, Any]:
    agent, person, client = key
    return {"system": system, "agent": agent, "person": person, "client": client, "client_session": session}


def _digest(target: upstream.Target) -> str:
    credential = target.credential
    parts = [target.url, "", ""] if credential is None else [target.url, *credential.identity]
    if target.network is not None:
        parts.append(target.network.digest())
    if target.account:
        parts.append(f"account:{target.account}")
    return hashlib.sha256(_encode(parts)).hexdigest()
