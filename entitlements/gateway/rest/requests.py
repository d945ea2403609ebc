"""The addresses /gw/<system>/http/...: a REST API behind the gateway, by the calls of MCP and no other way.

A request is read as one declared operation with its arguments, decided and recorded as the call of that tool, and
written anew from the arguments; nothing of the client's own request goes out.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django.conf import settings

from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.gateway import answers, doors, possession
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.http import NO_STORE, Answer, Header, Request, Send
from entitlements.gateway.rest import problems
from entitlements.gateway.rest.dispatch import RestAnswer, RestForwarding
from entitlements.gateway.traces import gateway_spans
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused
from entitlements.rest.read import Incoming, Mapped
from entitlements.rest.refusals import NotMapped
from entitlements.traces import call_trace

_WITHOUT_LENGTH: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_SAFE: Final[tuple[Header, ...]] = (
    NO_STORE,
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
"""A page of a system that is opened here runs nothing, and is no page of ours."""


async def serve(node: Node, request: Request, slug: str) -> None:
    """Answer one request below the REST address of a system. Raises Refused and Closed for `app` to answer."""
    doors.check_origin(request)
    node.check_open()
    request.header("authorization")
    if possession.HEADER in request.headers:
        possession.answer_with_nonce(node, request)
    resource = answers.resource(slug, answers.REST)
    bearer = await node.bearers.check(request.headers.get(b"authorization"), slug, resource)
    body = await request.body()
    if bearer.jkt:
        address = f"{settings.GATEWAY_URL}{request.raw_path.decode('latin-1')}"
        await possession.check(node, request, bearer, address, needs_digest=settings.DPOP_REQUIRED == "all")
    entry = await node.directory.get(slug)
    if entry is None or entry.operations is None:
        raise Refused(Code.SYSTEM_UNKNOWN)
    traced = call_trace.begin(None, request.raw, bearer.trace)
    request_id = request.headers.get(b"x-request-id", b"").decode("latin-1")[:128]
    about = CallDetails(bearer, slug, request.method, request_id=request_id, source=request.source, traced=traced)
    with gateway_spans.operation_span(about):
        try:
            await _call(node, request, entry, bearer, about, body)
        except Closed as why:
            await request.answer(problems.refused(why, evaluation=about.evaluation))
        except Refused as why:
            await node.recorder.durably(records.refusal(about, why.code, why.message), possession.take(request))
            await request.answer(problems.refused(why, slug=slug, evaluation=about.evaluation))


async def _call(
    node: Node, request: Request, entry: ServedSystem, bearer: Bearer, about: CallDetails, body: bytes
) -> None:
    door = RestDoor(entry, bearer, about, RestResponder(request.send, request.method))
    try:
        mapped = _mapped(entry, request, body)
    except NotMapped as why:
        if (verdict := await _may_not_see(node, entry, bearer)) is None:
            raise Refused(why.code, why.message) from why
        node.count(verdict)
        await node.recorder.durably(records.decision(about, verdict, {}), possession.take(request))
        await door.responder.finish(door.denied(verdict, about.evaluation, ""))
        return
    about.tool = mapped.tool

    async def deliver(answer: RestAnswer) -> None:
        await door.responder.pass_on(answer)

    forwarding = RestForwarding(node, entry, mapped.tool, mapped.arguments, about.traced.onward, deliver)
    await ToolCall(node, entry, bearer, request, about, mapped.arguments, door, forwarding).run()


def _mapped(entry: ServedSystem, request: Request, body: bytes) -> Mapped:
    assert entry.operations is not None  # noqa: S101 - for the type checker: `serve` has looked
    below = request.raw_path[len(answers.path(entry.slug, answers.REST)) :]
    return entry.operations.read(Incoming(request.method, below, request.query, tuple(request.raw), body))


async def _may_not_see(node: Node, entry: ServedSystem, bearer: Bearer) -> Verdict | None:
    """Say why a caller learns nothing of a system's operations; None where it may see the system."""
    verdict, _ = await node.admits(bearer.asks(entry.slug))
    may_see = verdict.allowed or (verdict.effect is Effect.DENY and verdict.code is Code.NO_GRANT)
    return None if may_see else verdict


class RestResponder:
    """Answers one request, whole."""

    def __init__(self, send: Send, method: str) -> None:
        self._send, self._is_head = send, method == "HEAD"
        self._is_finished = False

    async def finish(self, answer: Answer) -> None:
        """Send an answer of ours."""
        length = (b"content-length", str(len(answer.body)).encode())
        await self._whole(answer.status, [*answer.headers, length], answer.body)

    async def pass_on(self, answer: RestAnswer) -> None:
        """Send the answer of the system: its status, the headers that pass, its body."""
        length = answer.length if self._is_head else len(answer.body)
        sized = [] if length is None or answer.status in _WITHOUT_LENGTH else [(b"content-length", b"%d" % length)]
        await self._whole(answer.status, [*answer.headers, *_SAFE, *sized], answer.body)

    def keep_alive(self) -> None:
        """An answer that is sent whole says nothing before."""

    def close(self) -> None:
        """Nothing is under way."""

    async def _whole(self, status: int, headers: list[Header], body: bytes) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self._is_head else body})


class RestDoor:
    """A client of a REST API."""

    request_id = b""
    ends_with_client = True

    def __init__(self, entry: ServedSystem, bearer: Bearer, about: CallDetails, responder: RestResponder) -> None:
        self._entry, self._bearer, self._about = entry, bearer, about
        self.responder = responder

    def denied(self, verdict: Verdict, evaluation: str, kept: str) -> Answer:
        """Answer with a problem document."""
        return problems.denied(self._entry, self._bearer, verdict, evaluation, self._about.tool, kept)

    def refused(self, refusal: Refused, evaluation: str) -> Answer:
        """Answer with a problem document."""
        return problems.refused(refusal, slug=self._entry.slug, evaluation=evaluation)
