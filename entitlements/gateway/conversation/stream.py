"""The streams that a legacy client opens with GET: of its session, and of what it comes back for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.decisions.verdicts import Verdict
from entitlements.definitions import primitives
from entitlements.gateway import answers, messages, possession
from entitlements.gateway.conversation import client_sessions
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.session_stream import SessionStream
from entitlements.gateway.exchange import may_see
from entitlements.gateway.http import Request
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.resumption import resumption
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused
from entitlements.node.streams import OpenRequest, ToolList
from entitlements.upstream import mcp_headers, sse, upstream

KEEP_ALIVE_SECONDS: Final = 10.0


async def keep(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    """Open a legacy client's stream, or go on with one that it lost, until it leaves, or its session or rights end."""
    await possession.claim(node, request)
    name = request.header(mcp_headers.SESSION)
    if name is None:
        version = request.header(mcp_headers.VERSION)
        if version is not None and version in upstream.LEGACY:
            raise session_missing()
        await request.answer(answers.not_allowed())
        return
    session = await client_sessions.open_name(node, name, bearer, entry.slug)
    about = CallDetails(bearer, entry.slug, "GET", source=request.source)
    earlier = None
    if last_id := request.header(mcp_headers.LAST_EVENT):
        await client_sessions.check(node, session)
        try:
            earlier = await resumption.find(node, session, last_id)
        except Refused as why:
            if not isinstance(why, Closed):
                await resumption.refuse(node, about, why)
            raise
    await _Opening(node, request, entry, about, session, earlier).serve()


@dataclass(slots=True)
class _Opening:
    """One request for a stream."""

    node: Node
    request: Request
    entry: ServedSystem
    about: CallDetails
    session: ClientSession
    earlier: resumption.KeptEvents | None

    async def serve(self) -> None:
        """Answer with the stream. Raises Refused and Closed before it begins."""
        node, bearer, session, earlier = self.node, self.about.bearer, self.session, self.earlier
        call = None if earlier is None else earlier.call
        policy_call = (
            bearer.asks(self.entry.slug) if call is None else bearer.asks(call.system, call.tool, call.arguments)
        )
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        opened = OpenRequest(
            policy_call, task, is_call=False, session=session.id, ends_with_grants=session.had_grant,
            tools=ToolList() if call is None else None,
        )  # fmt: skip
        node.opened.add(opened)  # from now on the feed ends it: what it says before is seen below
        try:
            await client_sessions.check(node, session)
            if earlier is not None and call is not None:
                await self._hand_out(policy_call, earlier)
            else:
                await self._say(opened)
        except asyncio.CancelledError:
            if not opened.stop:
                raise
            task.uncancel()
            if not self.request.has_begun:
                raise client_sessions.unknown() from None
            await self.request.send({"type": "http.response.body", "body": b""})
        finally:
            node.opened.remove(opened)

    async def _say(self, opened: OpenRequest) -> None:
        """Say what concerns no one request of the session."""
        verdict, held = await self.node.admits(opened.call)
        if not may_see(verdict):
            await self._deny(self.entry, verdict, {})
            return
        said = SessionStream(self.node, self.request, self.entry, self.session, opened, self.about, self.earlier)
        await said.run(held)

    async def _hand_out(self, call: PolicyCall, events: resumption.KeptEvents) -> None:
        """Say what followed in the stream of a call, if its caller may still make that call."""
        verdict, _ = await self.node.decide(call)
        entry = await self.node.directory.get(call.system)
        if entry is None or not verdict.allowed:
            self.about.system, self.about.tool = call.system, call.tool
            await self._deny(entry or self.entry, verdict, call.arguments)
            return
        await self.request.send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": sse.HEADERS})
        if self.session.is_polled:
            beginning = sse.priming(events.id, sse.AGAIN_SECONDS)
            await self.request.send({"type": "http.response.body", "body": beginning, "more_body": True})
        await resumption.hand_out(self.node, self.request, call, events)

    async def _deny(self, entry: ServedSystem, verdict: Verdict, arguments: Mapping[str, Any]) -> None:
        about = self.about
        await self.node.recorder.durably(records.decision(about, verdict, arguments))
        await self.request.answer(answers.denied(entry, about.bearer, verdict, about.evaluation, answers.NULL))


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
