"""One message of a caller at an MCP door, and how it is answered."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.gateway import answers, messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.http import JSON, NO_STORE, Answer, Request, encode
from entitlements.gateway.messages import Call
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.traces import call_trace


class Exchange:
    """One message of a caller we know, and everything an answer needs."""

    def __init__(self, node: Node, request: Request, entry: ServedSystem, bearer: Bearer, call: Call) -> None:
        self.node, self.request, self.entry, self.bearer, self.call = node, request, entry, bearer, call
        self.session: ClientSession | None = None
        self.is_modern = messages.is_modern(call, request)
        traced = call_trace.begin(call.meta, request.raw, bearer.trace)
        request_id = request.headers.get(b"x-request-id", b"").decode("latin-1")[:128]
        self.about = CallDetails(
            bearer, entry.slug, call.method, request_id=request_id, source=request.source, traced=traced
        )

    @property
    def policy_call(self) -> PolicyCall:
        """The question behind everything but a call: whether this caller may see the system."""
        bearer = self.bearer
        return bearer.asks(self.entry.slug)

    async def answer(self, value: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
        """Send a result; of the modern era's members a legacy client gets none."""
        if self.is_modern:
            value = {"resultType": "complete", **value}
        await self.send(encode(value), *headers)

    async def send(self, result: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Send a result that is JSON already."""
        answer = Answer(HTTPStatus.OK, answers.result(self.call.request_id, result), (JSON, NO_STORE, *headers))
        is_event = self.session is not None and self.request.prefers_events
        await self.request.answer(answer.as_event() if is_event else answer)

    async def deny(self, verdict: Verdict) -> None:
        """Record a denial of something else than a call to an upstream, and send it."""
        await self.node.recorder.durably(records.decision(self.about, verdict, {}))
        about = self.about
        answer = answers.denied(self.entry, self.bearer, verdict, about.evaluation, self.call.request_id, about.tool)
        await self.request.answer(answer)


def may_see(verdict: Verdict) -> bool:
    """Say whether this caller may know of the system: with a grant there, or for the lack of one only."""
    return verdict.allowed or (verdict.effect is Effect.DENY and verdict.code is Code.NO_GRANT)
