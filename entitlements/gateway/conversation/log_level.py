"""How much of an upstream's log a legacy client wants to hear (logging/setLevel): the upstream itself keeps to it."""

from __future__ import annotations

from entitlements.codes import Code
from entitlements.gateway.conversation import replies, server_messages
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.node.refusals import Refused
from entitlements.upstream import egress


async def choose(exchange: Exchange) -> None:
    """Tell the upstream, where there is one that keeps this client's session; one without a log has nothing to say."""
    level = exchange.call.params.get("level")
    if level not in server_messages.LEVELS:
        raise Refused(Code.MALFORMED_CALL, "There is no such level.")
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    if verdict.allowed:
        await _pass_on(exchange, str(level))
    await exchange.answer({})


async def _pass_on(exchange: Exchange, level: str) -> None:
    """Let the upstream know. One that is away says nothing either, and stops no client from going on."""
    entry, session = exchange.entry, exchange.session
    if session is None or entry.operations is not None or not entry.target.url:
        return
    if entry.command is not None and entry.command.is_shared:
        return  # the log of a child that several callers share goes to no client
    try:
        connection = await replies.open_connection(exchange, entry, session)
        if not connection.conversation.is_modern:
            params, number = {"level": level}, next(connection.numbers)
            await connection.conversation.ask(connection.http, exchange.call.method, params, number)
    except egress.Unreachable:
        return
    except Refused as why:
        if why.code is not Code.UPSTREAM_UNAVAILABLE:
            raise
