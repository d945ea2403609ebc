"""The stream that a legacy client opens with GET: what concerns no one request of its session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from entitlements.codes import Code
from entitlements.definitions import primitives
from entitlements.gateway import answers, messages, possession
from entitlements.gateway.conversation import client_sessions, upstream_stream
from entitlements.gateway.exchange import may_see
from entitlements.gateway.http import Request
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused
from entitlements.node.streams import OpenRequest, ToolList
from entitlements.upstream import mcp_headers, sse, upstream

KEEP_ALIVE_SECONDS: Final = 10.0
HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


async def keep(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    """Hold a legacy client's stream open until it leaves, its session ends or its rights do. Nothing is resumed.

    It carries as well what the client's own session with the upstream says.
    """
    await possession.claim(node, request)
    name = request.header(mcp_headers.SESSION)
    if name is None:
        version = request.header(mcp_headers.VERSION)
        if version is not None and version in upstream.LEGACY:
            raise session_missing()
        await request.answer(answers.not_allowed())
        return
    policy_call, about = bearer.asks(entry.slug), CallDetails(bearer, entry.slug, "GET", source=request.source)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    session = await client_sessions.open_name(node, name, bearer, entry.slug)
    open_stream = OpenRequest(
        policy_call, task, is_call=False, session=session.id, ends_with_grants=session.had_grant, tools=ToolList()
    )
    node.opened.add(open_stream)  # from now on the feed ends it: what it says before is seen below
    try:
        await client_sessions.check(node, session)
        verdict, held = await node.admits(policy_call)
        if not may_see(verdict):
            await node.recorder.durably(records.decision(about, verdict, {}))
            await request.answer(answers.denied(entry, bearer, verdict, about.evaluation, answers.NULL))
            return
        await request.send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": HEADERS})
        await node.look_at_tools(open_stream, held)
        follows = upstream_stream.Following(node, about, entry, session, request)
        await keep_open(request, open_stream, _changed, follows.follow())
    except leaks.SecretInAnswer as why:
        node.recorder.eventually(leaks.event(about, why.owners))
        await request.send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not open_stream.stop:
            raise
        task.uncancel()
        if not request.has_begun:
            raise client_sessions.unknown() from None
        await request.send({"type": "http.response.body", "body": b""})
    finally:
        node.opened.remove(open_stream)


def _changed(kind: str) -> bytes:
    return b'{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}' % kind.encode()


async def keep_open(
    request: Request, opened: OpenRequest, changed_as: Callable[[str], bytes], follows: Coroutine[Any, Any, None]
) -> None:
    """Say that a list has changed whenever it has, and send a comment now and then, until the client leaves.

    Changes that follow closely on each other are one notification for each list; `changed_as` writes that, or nothing.
    Meanwhile `follows` runs, which sends what an upstream says. Raises SecretInAnswer, with which that ended.
    """
    assert opened.tools is not None  # noqa: S101 - for the type checker: it is a stream
    gone, following = asyncio.ensure_future(request.until_gone()), asyncio.ensure_future(follows)
    try:
        while not gone.done():
            kinds = {primitives.CAPABILITY[primitives.of_name(name)] for name in opened.tools.take_changes()}
            notes = [sse.event(note) for kind in sorted(kinds) if (note := changed_as(kind))]
            body = b"".join(notes) or sse.KEEP_ALIVE
            await request.send({"type": "http.response.body", "body": body, "more_body": True})
            changed = asyncio.ensure_future(opened.tools.changed.wait())
            heard = set() if following.done() else {following}
            await asyncio.wait({gone, changed, *heard}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if following.done() and isinstance(following.exception(), leaks.SecretInAnswer):
                following.result()
    finally:
        gone.cancel()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)


def session_missing() -> Refused:
    """Say that a legacy request names no session."""
    return Refused(
        Code.MALFORMED_CALL, "The header mcp-session-id is missing.", jsonrpc=messages.INVALID_REQUEST
    )  # fmt: skip
