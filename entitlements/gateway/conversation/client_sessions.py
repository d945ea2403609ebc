"""Sessions of 2025-era clients (GW-16). What a session is stands, sealed, in its name, so that any node serves it.

A session is no credential: each request is authenticated and decided again. It ends with its time, when its client
deletes it, and with whatever ends a token that was issued when it began; then it is unknown, and the client begins
another. What a client deleted is a row that the change feed names.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from entitlements.codes import Code
from entitlements.decisions import policy
from entitlements.decisions.reads import FeedSubject, Reads
from entitlements.decisions.snapshot import AgentFacts
from entitlements.feed import locks, subjects
from entitlements.gateway import messages
from entitlements.keys import in_use, session_keys
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.node.shared.client_offers import Offers
from entitlements.node_feed import other_nodes
from entitlements.upstream import upstream

_IS_ENDED: Final = "SELECT EXISTS (SELECT FROM entitlements_endedclientsession WHERE id = %s)"
END: Final = """
WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(%(lock)s::bigint)),
ended AS (
    INSERT INTO entitlements_endedclientsession (id, ended_at, expires_at)
    SELECT %(id)s::uuid, clock_timestamp(), to_timestamp(%(until)s::float8) FROM held
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO entitlements_change (kind, subject, client_session_id, concerns_all, noted_at)
SELECT %(kind)s::text, %(kind)s::text || ':' || id, id, false, clock_timestamp() FROM ended
RETURNING id
"""
"""As `changes.note` would: under the lock of what changed."""


class ClientSession(msgspec.Struct, frozen=True, array_like=True):
    """What the name of a session holds: whose it is and at which system; times in epoch seconds.

    `session` is the agent's session with Mandate in which it began, `version` the protocol that was agreed, and
    `had_grant` says whether there was a live grant then.
    """

    id: UUID
    system: str
    agent: str
    person: str | None
    client: str
    session: str | None
    version: str
    began: float
    until: float
    had_grant: bool
    capabilities: dict[str, Any] = {}
    """What the client declared that it can be asked for, as `client_offers.known` keeps it."""

    @property
    def offers(self) -> Offers:
        """What an upstream may ask of the client of this session."""
        return Offers(self.id, self.capabilities)

    @property
    def is_polled(self) -> bool:
        """Whether its client knows events without data, and streams that are closed before their end (SEP-1699)."""
        return self.version == upstream.LEGACY[0]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ClientSession).decode


async def begin(
    node: Node,
    bearer: Bearer,
    system: str,
    version: str,
    facts: AgentFacts,
    *,
    had_grant: bool,
    capabilities: dict[str, Any] | None = None,
) -> str:
    """Begin a session of this caller and return its name. Raises Closed while there is no key to seal it.

    It ends no later than the agent's session: that one is not known for long after its end.
    """
    now = node.now()
    until = now + session_keys.LIFE.total_seconds()
    await _know_session(node, bearer.agent, bearer.session)
    if bearer.session is not None and (within := facts.sessions.get(bearer.session)) is not None:
        until = min(until, within.absolute_until)
    session = ClientSession(
        uuid4(), system, bearer.agent, bearer.person, bearer.client, bearer.session, version, now, until, had_grant,
        capabilities or {},
    )  # fmt: skip
    try:
        return await session_keys.sealed(node.reads(), _encode(session))
    except in_use.KeyMissing as why:
        raise Closed(Code.FEED_UNKNOWN, why.message) from why


async def find(node: Node, name: str, bearer: Bearer, system: str) -> ClientSession:
    """Return the session that a name stands for, if it goes on. Raises as `open_name` and `check` do."""
    session = await open_name(node, name, bearer, system)
    await check(node, session)
    return session


async def open_name(node: Node, name: str, bearer: Bearer, system: str) -> ClientSession:
    """Open the name of a session that this caller began at this system. Raises Refused (404), Closed."""
    try:
        session = _decode(await session_keys.opened(node.reads(), name))
    except (session_keys.NotOurs, msgspec.MsgspecError) as why:
        raise unknown() from why
    if (session.agent, session.person, session.client) != bearer.key or session.system != system:
        raise unknown()
    return session


async def check(node: Node, session: ClientSession) -> None:
    """See that a session goes on. Raises Refused (404) when it is over, Closed.

    The database is asked only where this node has not met the session or the agent, or says that rights are gone.
    """
    if not node.now() < session.until or await _is_ended(node.reads(), session):
        raise unknown()
    await _know_session(node, session.agent, session.session)
    for is_last_look in (False, True):
        held = await node.snapshots.get(session.agent, session.system, fresh=is_last_look)
        if held is None or not is_over(session, held.facts, node.now()):
            return
    raise unknown()


def is_over(session: ClientSession, facts: AgentFacts, now: float) -> bool:
    """Whether what has happened since ends a session for good.

    A stop of the agent or the client does, also if both are back, as it ends tokens; so does the end of the agent's
    session, and of the last grant. A session that began without any goes on, so that its calls are told why not.
    """
    if policy.is_revoked_by_stop(session.client, session.began, facts):
        return True
    if session.session is not None and (within := facts.sessions.get(session.session)) is not None and within.ended:
        return True
    held = facts.held.get((session.system, session.person), ())
    return session.had_grant and not any(
        line.starts <= now < line.expires and not line.suspended for _, line in held
    )  # fmt: skip


async def _know_session(node: Node, agent: str, session: str | None) -> None:
    """See that this node knows the agent's session, whose facts all rights of the agent share. Raises Closed."""
    presented = node.snapshots.presented
    if not presented.is_known(agent, session, None):
        await presented.look_up(agent, session, None)


async def end(node: Node, session: ClientSession) -> None:
    """End a session on every node, before its time, and what upstreams hold for it. Raises Closed: it may live on.

    When this returns, no node serves the session any more: each has applied the change, or its lease has lapsed.
    """
    noted = await node.writes.run(END, ending(session.id, session.until))
    await node.upstreams.leave(session.id)
    node.kept.remove(_IS_ENDED, [session.id])
    if not await other_nodes.have_applied(node.snapshots.query, noted[0][0] if noted else None):
        raise Closed(Code.FEED_UNKNOWN)


def ending(session: UUID, until: float) -> dict[str, int | str | UUID | float]:
    """Return the values of `END`."""
    subject = subjects.client_session(session)
    assert subject.lock is not None  # noqa: S101 - for the type checker
    return {"lock": locks.number(*subject.lock), "kind": subject.kind, "id": session, "until": until}


def unknown() -> Refused:
    """Say that there is no such session."""
    return Refused(
        Code.SESSION_UNKNOWN, "There is no such session.", status=HTTPStatus.NOT_FOUND, jsonrpc=messages.INVALID_REQUEST
    )


async def _is_ended(reads: Reads, session: ClientSession) -> bool:
    """Say whether its client deleted it, from memory but for a node's first look."""
    subject: FeedSubject = ("client_session_id", session.id)
    return bool((await reads.kept(_IS_ENDED, [session.id], lambda _: [subject]))[0][0])
