"""How much of an upstream's log a legacy client wants to hear (logging/setLevel): the upstream itself keeps to it."""

from __future__ import annotations

from entitlements.codes import Code
from entitlements.gateway.conversation import replies, server_messages
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.node.refusals import Refused
from entitlements.upstream import egress


async def choose(exchange: Exchange) -> None:
    """Tell the upstream, where there is one that keeps this client's session; one without a log has nothing to say."""
    level, entry = exchange.call.params.get("level"), exchange.entry
    if level not in server_messages.LEVELS:
        raise Refused(Code.MALFORMED_CALL, "There is no such level.")
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    if verdict.allowed and exchange.session is not None and entry.operations is None and entry.target.url:
        connection = await replies.open_connection(exchange, entry, exchange.session)
        if not connection.conversation.is_modern:
            try:
                await connection.conversation.ask(connection.http, exchange.call.method, {"level": level})
            except egress.Unreachable as why:
                if "error" not in why.detail:
                    raise Refused(Code.UPSTREAM_UNAVAILABLE) from why
    await exchange.answer({})
