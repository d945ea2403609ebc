"""What a legacy client says to its upstream beside its calls: answers to what it was asked, and notifications.

Either may reach any node. An answer goes to the upstream only from the session that was asked, while that and the
upstream's own session go on, and while its caller still has access.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec

from entitlements import strict
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import AccountAuthorization, Caller
from entitlements.decisions.verdicts import Reason
from entitlements.feed.changes import LEASE_SECONDS
from entitlements.gateway import messages
from entitlements.gateway.call_tasks import session_tasks
from entitlements.gateway.conversation import input_requests, server_messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.input_requests import InputResponse
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import encode
from entitlements.keys import in_use, session_keys
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.node.upstreams import Connection
from entitlements.node_messages.messages import BoxFull
from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer

_SERVES: Final = f"""
SELECT EXISTS (SELECT FROM entitlements_gatewaynode WHERE id = %s AND stopped_at IS NULL
    AND polled_at > clock_timestamp() - interval '{LEASE_SECONDS} seconds')
"""  # noqa: S608 - made of a constant
"""Whether the node goes on at which a call waits: with it, the call is gone."""
PASSED: Final = frozenset({"notifications/roots/list_changed", "notifications/progress"})
"""What an upstream hears of a client's notifications."""


async def take(exchange: Exchange) -> None:
    """Give an answer to who asked. Raises Refused for one that was not asked for, and for one without access."""
    session = exchange.session
    name = msgspec.json.decode(exchange.call.request_id)
    asked = await _opened(exchange, name, server_messages.PURPOSE)
    if session is None or asked.session != session.id or not exchange.node.now() < asked.until:
        raise _unasked()
    entry = await exchange.node.directory.get(asked.system)
    if entry is None:
        raise _unasked()
    exchange.about.system, exchange.about.method = entry.slug, asked.method
    if asked.box is not None:
        await _leave(exchange, entry, asked.box, asked)
        return
    connection = await open_connection(exchange, entry, session)
    if server_messages.digest_of(connection) != asked.upstream:
        raise _unasked()
    said = await session_tasks.answered(exchange.node, session.id, _answer(exchange.call.said))
    status = await server_messages.reply(connection, msgspec.json.decode(asked.id), said)
    if entry.command is not None and status == HTTPStatus.NOT_FOUND:
        raise _unasked()  # the child has its answer, or is another one by now


async def pass_on(exchange: Exchange) -> None:
    """Let the upstream hear a notification, where there is one upstream and it keeps this client's session.

    Progress goes to the one that asked, and what does not fit to anything that was asked is dropped.
    """
    session = exchange.session
    if exchange.call.method == "notifications/progress":
        await _pass_progress(exchange)
        return
    if session is None or exchange.entry.operations is not None or not exchange.entry.target.url:
        return
    connection = await open_connection(exchange, exchange.entry, session)
    if connection.conversation.is_modern:
        return
    await _notify(connection, {"method": exchange.call.method})


async def _pass_progress(exchange: Exchange) -> None:
    session, params = exchange.session, exchange.call.params
    try:
        asked = await _opened(exchange, params.get("progressToken"), server_messages.PROGRESS_PURPOSE)
    except Refused:
        return
    entry = await exchange.node.directory.get(asked.system)
    is_ours = session is not None and asked.session == session.id and exchange.node.now() < asked.until
    if entry is None or session is None or not is_ours:
        return
    connection = await open_connection(exchange, entry, session)
    if server_messages.digest_of(connection) == asked.upstream:
        told: dict[str, Any] = {name: params[name] for name in ("progress", "total", "message") if name in params}
        told["progressToken"] = msgspec.json.decode(asked.id)
        await _notify(connection, {"method": exchange.call.method, "params": told})


async def _notify(connection: Connection, notification: Mapping[str, Any]) -> None:
    conversation = connection.conversation
    body = strict.dumps({"jsonrpc": "2.0", **notification})

    async def ignore(_answer: Answer) -> None:
        """Read nothing."""

    try:
        await conversation.post(connection.http, conversation.headers(), body, ignore)
    except (aiohttp.ClientError, TimeoutError, OSError, egress.Unreachable):
        return


async def _leave(exchange: Exchange, entry: ServedSystem, box: UUID, asked: server_messages.Asked) -> None:
    """Leave an answer for the call that waits for it, the first one alone. Raises Refused, Closed."""
    node = exchange.node
    await _check_access(exchange, entry)
    place, token = msgspec.json.decode(asked.id, type=int), exchange.bearer.token
    body = encode(InputResponse(place, dict(_answer(exchange.call.said)), token.expires))
    before = await _bodies(node, box)
    if input_requests.is_settled(before, place) or not (await node.reads().rows(_SERVES, [asked.node]))[0][0]:
        raise _unasked()
    try:
        number = await node.messages.put(box, body, max(1.0, asked.until - node.now()))
    except BoxFull as why:
        raise _unasked() from why
    except in_use.KeyMissing as why:
        raise Closed(Code.FEED_UNKNOWN, why.message) from why
    if number > len(before) + 1 and input_requests.is_settled((await _bodies(node, box))[: number - 1], place):
        raise _unasked()


async def _bodies(node: Node, box: UUID) -> list[bytes]:
    """Return all that lies in a box, in order. Raises Closed."""
    found: list[bytes] = []
    while more := await node.messages.read(box, len(found)):
        found += [body for _, body in more]
    return found


async def _check_access(exchange: Exchange, entry: ServedSystem) -> None:
    verdict, _ = await exchange.node.admits(exchange.bearer.asks(entry.slug))
    if not verdict.allowed:
        raise Refused(verdict.code, verdict.sentence, status=HTTPStatus.FORBIDDEN)


async def open_connection(exchange: Exchange, entry: ServedSystem, session: ClientSession) -> Connection:
    """Return the conversation of a client's session with a system. Raises Refused without access or way, Closed."""
    node, bearer = exchange.node, exchange.bearer
    await _check_access(exchange, entry)
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


async def _opened(exchange: Exchange, name: object, purpose: str) -> server_messages.Asked:
    """Return what a name of ours holds, an id or a token of progress. Raises Refused, Closed."""
    try:
        text = msgspec.convert(name, str)
        return server_messages.read_asked(await session_keys.opened(exchange.node.reads(), text, purpose=purpose))
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
