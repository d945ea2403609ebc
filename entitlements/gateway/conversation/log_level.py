"""How much of an upstream's log a legacy client wants to hear (logging/setLevel).

A legacy upstream keeps to it itself. One of 2026 alone is told with each call of the session, so the level is kept
where every node finds it, as the last message of a box of the session.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from entitlements.codes import Code
from entitlements.gateway.conversation import replies, server_messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.keys import in_use
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.node_messages.messages import BoxFull
from entitlements.upstream import egress

MOST_CHANGES: Final = 50
"""How often a session may choose another level: each choice is a row for as long as the session may live."""


async def choose(exchange: Exchange) -> None:
    """Take a level, for the upstreams of this session. Raises Refused, Closed."""
    level = exchange.call.params.get("level")
    if level not in server_messages.LEVELS:
        raise Refused(Code.MALFORMED_CALL, "There is no such level.")
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    session, is_heard = exchange.session, verdict.allowed and exchange.entry.operations is None
    if is_heard and session is not None and not await _pass_on(exchange, session, str(level)):
        await _keep(exchange.node, session, str(level))
    await exchange.answer({})


async def of(node: Node, session: UUID) -> str | None:
    """Return the level that a client's session chose, None for no log. Raises Closed."""
    chosen = await node.messages.read(_box(session))
    return chosen[-1][1].decode() if chosen else None


async def _pass_on(exchange: Exchange, session: ClientSession, level: str) -> bool:
    """Let a legacy upstream know; False where there is none that keeps this client's session.

    One that is away says nothing either, and stops no client from going on.
    """
    entry = exchange.entry
    if not entry.target.url:
        return False
    if entry.command is not None and entry.command.is_shared:
        return True  # the log of a child that several callers share goes to no client
    try:
        connection = await replies.open_connection(exchange, entry, session)
        if connection.conversation.is_modern:
            return False
        params, number = {"level": level}, next(connection.numbers)
        await connection.conversation.ask(connection.http, exchange.call.method, params, number)
    except egress.Unreachable:
        return True
    except Refused as why:
        if why.code is not Code.UPSTREAM_UNAVAILABLE:
            raise
    return True


async def _keep(node: Node, session: ClientSession, level: str) -> None:
    """Keep a level for every node, as long as the session may live. Raises Refused, Closed."""
    earlier = await node.messages.read(_box(session.id))
    if earlier and earlier[-1][1].decode() == level:
        return
    if len(earlier) >= MOST_CHANGES:
        raise Refused(Code.RATE_LIMITED, "The level was chosen too often in this session.")
    try:
        await node.messages.put(_box(session.id), level.encode(), session.until - node.now())
    except BoxFull as why:
        raise Refused(Code.RATE_LIMITED) from why
    except in_use.KeyMissing as why:
        raise Closed(Code.FEED_UNKNOWN, why.message) from why


def _box(session: UUID) -> UUID:
    return uuid5(session, "log level")
