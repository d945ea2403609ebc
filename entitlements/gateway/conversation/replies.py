"""What a legacy client says to its upstream beside its calls: answers to what it was asked, and notifications.

Either may reach any node. An answer goes to the upstream only from the session that was asked, while that and the
upstream's own session go on, and while its caller still has access.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from entitlements import strict
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import AccountAuthorization, Caller
from entitlements.decisions.verdicts import Reason
from entitlements.gateway import messages
from entitlements.gateway.call_tasks import session_tasks
from entitlements.gateway.conversation import server_messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.exchange import Exchange
from entitlements.keys import session_keys
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer

PASSED: Final = frozenset({"notifications/roots/list_changed"})
"""What an upstream hears of a client's notifications."""


async def take(exchange: Exchange) -> None:
    """Give an answer to who asked. Raises Refused for one that was not asked for, and for one without access."""
    session = exchange.session
    asked = await _asked(exchange)
    if session is None or asked.session != session.id or not exchange.node.now() < asked.until:
        raise _unasked()
    entry = await exchange.node.directory.get(asked.system)
    if entry is None:
        raise _unasked()
    exchange.about.system, exchange.about.method = entry.slug, asked.method
    connection = await open_connection(exchange, entry, session)
    if server_messages.digest_of(connection) != asked.upstream:
        raise _unasked()
    said = await session_tasks.answered(exchange.node, session.id, _answer(exchange.call.said))
    await server_messages.reply(connection, msgspec.json.decode(asked.id), said)


async def pass_on(exchange: Exchange) -> None:
    """Let the upstream hear a notification, where there is one upstream and it keeps this client's session."""
    session = exchange.session
    if session is None or exchange.entry.operations is not None or not exchange.entry.target.url:
        return
    connection = await open_connection(exchange, exchange.entry, session)
    conversation = connection.conversation
    if conversation.is_modern:
        return
    body = strict.dumps({"jsonrpc": "2.0", "method": exchange.call.method})

    async def ignore(_answer: Answer) -> None:
        """Read nothing."""

    try:
        await conversation.post(connection.http, conversation.headers(), body, ignore)
    except (aiohttp.ClientError, TimeoutError, OSError, egress.Unreachable):
        return


async def open_connection(exchange: Exchange, entry: ServedSystem, session: ClientSession) -> Connection:
    """Return the conversation of a client's session with a system. Raises Refused without access or way, Closed."""
    node, bearer = exchange.node, exchange.bearer
    verdict, _ = await node.admits(bearer.asks(entry.slug))
    if not verdict.allowed:
        raise Refused(verdict.code, verdict.sentence, status=HTTPStatus.FORBIDDEN)
    try:
        account = await account_of(node, bearer, entry)
        return await node.upstreams.get(entry, bearer, node.feed.position, account, session.offers)
    except (egress.Unreachable, egress.ForbiddenAddress) as why:
        raise Refused(Code.UPSTREAM_UNAVAILABLE) from why


async def account_of(node: Node, bearer: Bearer, entry: ServedSystem) -> AccountAuthorization | None:
    """Return the account by which a caller's requests go out, None where the system needs none. Raises Refused."""
    if not entry.target.needs_account:
        return None
    caller = Caller(bearer.person, bearer.client, bearer.agent)
    found = await node.accounts.find(entry.slug, entry.target, caller)
    if isinstance(found, Reason):
        raise Refused(found.code, found.sentence, status=HTTPStatus.FORBIDDEN)
    return found


async def _asked(exchange: Exchange) -> server_messages.Asked:
    try:
        name = msgspec.json.decode(exchange.call.request_id, type=str)
        plain = await session_keys.opened(exchange.node.reads(), name, purpose=server_messages.PURPOSE)
        return server_messages.read_asked(plain)
    except (session_keys.NotOurs, msgspec.MsgspecError) as why:
        raise _unasked() from why


def _answer(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one member that an answer may have. Raises Refused."""
    result, error = said.get("result"), said.get("error")
    if "error" not in said and isinstance(result, dict):
        return {"result": result}
    if "result" not in said and isinstance(error, dict) and isinstance(error.get("code"), int):
        return {"error": {name: error[name] for name in ("code", "message", "data") if name in error}}
    raise Refused(Code.MALFORMED_CALL, "The answer is neither a result nor an error.", jsonrpc=messages.INVALID_REQUEST)


def _unasked() -> Refused:
    return Refused(
        Code.MALFORMED_CALL, "No request of this session waits for this answer.", jsonrpc=messages.INVALID_REQUEST
    )  # fmt: skip
