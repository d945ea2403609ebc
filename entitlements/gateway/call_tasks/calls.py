"""Requests about a task: each is decided again as the call that made it, recorded, and forwarded in the life of a call.

Where the right is gone nothing is handed out, and the system is told that the task is no longer wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any, Final

import aiohttp

from audit import draft
from audit.actions import Action
from entitlements import codes
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import Caller
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.gateway import answers, doors
from entitlements.gateway.call_tasks import negotiation, task_ids
from entitlements.gateway.call_tasks.results import State
from entitlements.gateway.call_tasks.task_ids import Task
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.conversation import ways
from entitlements.gateway.conversation.responder import responder_of
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import Answer
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Closed, Refused
from entitlements.node.shared.client_offers import NOTHING
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Answer as UpstreamAnswer
from entitlements.words import Next

CANCEL: Final = "tasks/cancel"
RESULT: Final = "tasks/result"
UPDATE: Final = "tasks/update"
_SOON: Final = 5.0
"""Seconds for a system to take note that a task is no longer wanted."""
_FOR_GOOD: Final = frozenset({Next.NONE, Next.REQUEST})
"""What helps against a denial that no waiting and no new sign-in ends."""


async def call(exchange: Exchange) -> None:
    """Carry a request about a task through. Raises Refused and Closed while nothing has been answered."""
    asked, name = exchange.call, exchange.call.params.get("taskId")
    negotiation.check_declared(asked)
    task = await task_ids.opened(exchange, name)
    entry = await exchange.node.directory.get(task.system)
    if entry is None:
        raise task_ids.unknown(exchange)
    exchange.about.system, exchange.about.tool = entry.slug, task.tool
    exchange.about.link("task", task.evaluation)
    params: dict[str, Any] = {"taskId": task.id}
    if asked.method == UPDATE:
        params["inputResponses"] = _responses(asked.params.get("inputResponses"))
    arguments = task.called_with
    responder = responder_of(exchange, entry.slug, task.tool, arguments, asked)
    door = Door(entry, exchange.bearer, asked, exchange.entry.slug, responder, task.tool)
    way = ways.forwarding(exchange, entry, replace(asked, params=params), responder)
    way.results = State(task, str(name), has_result=asked.method == RESULT)
    session = None if exchange.session is None else exchange.session.id
    request = ToolCall(
        exchange.node, entry, exchange.bearer, exchange.request, exchange.about, arguments, door, way, session,
        is_counted=True,
    )  # fmt: skip
    await request.run()
    if exchange.about.code in set(Code):
        await _cancel_if_lost(exchange, entry, task)


class Door(doors.McpDoor):
    """A client that asks about a task. Only the result of the call itself has the form of a tool's result."""

    def denied(self, verdict: Verdict, evaluation: str, kept: str) -> Answer:
        """Answer with an error of JSON-RPC where the answer would be no result of a tool."""
        entry = self.entry
        if self.call.method != RESULT and entry.shape == System.DenialShape.TOOL_RESULT:
            entry = replace(entry, shape=System.DenialShape.JSONRPC)
        return answers.denied(
            entry, self.bearer, verdict, evaluation, self.request_id, self.tool, at=self.at, kept=kept
        )


def _responses(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refused(Code.MALFORMED_CALL, "The inputResponses are an object.")
    return given


async def _cancel_if_lost(exchange: Exchange, entry: ServedSystem, task: Task) -> None:
    """Let the system know that the result will not be fetched, where the caller has lost the right to it.

    A denial that ends by itself, or with another token or sign-in, cancels nothing, and with the last right at a system
    a session with it ends. What fails here changes nothing for the client, who has its denial, and is recorded.
    """
    node, asked = exchange.node, replace(exchange.bearer.asks(entry.slug, task.tool, task.called_with), token=None)
    with contextlib.suppress(Closed):
        verdict, _ = await node.decide(asked)
        if verdict.effect is not Effect.DENY or codes.meaning(verdict.code).next not in _FOR_GOOD:
            return
        if exchange.session is not None and not (await node.admits(asked))[0].allowed:
            return
        has_heard = False
        with contextlib.suppress(
            egress.Unreachable, egress.ForbiddenAddress, aiohttp.ClientError, TimeoutError, OSError
        ):
            async with asyncio.timeout(_SOON):
                has_heard = await _cancel(exchange, entry, task)
        await node.recorder.durably(_cancelled(exchange, task, verdict.code, has_heard=has_heard))


async def _cancel(exchange: Exchange, entry: ServedSystem, task: Task) -> bool:
    """Ask the system to cancel a task; say whether it answered. Raises Unreachable, ForbiddenAddress, Closed."""
    node, bearer, account = exchange.node, exchange.bearer, None
    if entry.target.needs_account:
        found = await node.accounts.find(
            entry.slug, entry.target, Caller(bearer.person, bearer.client, bearer.agent)
        )  # fmt: skip
        if isinstance(found, Reason):
            return False
        account = found
    offers = NOTHING if exchange.session is None else exchange.session.offers
    connection = await node.upstreams.get(entry, bearer, node.feed.position, account, offers)
    return await _ask_to_cancel(connection, task)


async def _ask_to_cancel(connection: Connection, task: Task) -> bool:
    conversation = connection.conversation
    meta = {"_meta": {upstream.META_CAPABILITIES: negotiation.DECLARED}} if conversation.is_modern else {}
    body = conversation.body(next(connection.numbers), CANCEL, {"taskId": task.id, **meta})

    async def take(_answer: UpstreamAnswer) -> bool:
        return True

    return await conversation.post(connection.http, conversation.headers(CANCEL, task.id), body, take)


def _cancelled(exchange: Exchange, task: Task, code: Code, *, has_heard: bool) -> draft.TextDraft:
    about = exchange.about
    what = (Action.CALL_TASK_CANCELLED, "success" if has_heard else "unknown", code.value)
    return draft.event(
        about.shared(None), what, draft.canonical({"evaluation": task.evaluation}),
        uuid=draft.new_uuid(), trace=about.trace, request_id=about.request_id, source=about.source,
    )  # fmt: skip
