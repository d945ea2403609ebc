"""How an allowed call reaches its system: as a tools/call of an MCP server, or as a request to a REST API."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions.verdicts import Reason, Verdict
from entitlements.gateway import relay
from entitlements.gateway.http import Request
from entitlements.gateway.messages import Call
from entitlements.gateway.relay import CallEnd
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.rest import headers
from entitlements.rest.build import Outgoing
from entitlements.rest.refusals import NotMapped
from entitlements.upstream import authorization, egress, upstream
from entitlements.upstream.authorization import Authorization
from entitlements.upstream.endpoint import Answer, Sent

type Gate = Callable[[], None]
type Take = Callable[[Answer], Awaitable[RestAnswer]]

_FORWARDED_PARAMS: Final = b"mcp-param-"
_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})
_OUR_FAULT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""What a system says of our credential, not of the caller."""
_JSON: Final = ("/json", "+json")


class Forwarding(Protocol):
    """One call on its way."""

    @property
    def was_sent(self) -> bool:
        """Whether the system may have seen the call."""

    def problem(self, verdict: Verdict) -> Reason | None:
        """Say why an allowed call cannot be sent as it is; asked before the decision is recorded."""

    async def carry_out(self, gate: Gate) -> CallEnd:
        """Send the call and answer. Raises what the gate raises, Unreachable, ForbiddenAddress, Closed, SessionLost.

        The gate is called synchronously before the first byte.
        """

    def cancel(self) -> None:
        """Tell the system that nobody waits any more."""

    def lose(self) -> None:
        """Do not use the connection again."""


@dataclass(slots=True)
class McpForwarding:
    """A call of a tool of an MCP server."""

    node: Node
    entry: ServedSystem
    bearer: Bearer
    request: Request
    call: Call
    trace: str
    responder: relay.Responder
    _upstream_call: relay.UpstreamCall | None = None

    @property
    def was_sent(self) -> bool:
        """Whether the last try was sent."""
        return self._upstream_call is not None and self._upstream_call.was_sent

    def problem(self, verdict: Verdict) -> Reason | None:  # noqa: ARG002 - as the protocol says it
        """Every call that is allowed can be sent."""
        return None

    async def carry_out(self, gate: Gate) -> CallEnd:
        """Send it over the conversation with this caller's upstream."""
        tool = self.entry.tools.get(self.call.params["name"])
        mirrored = tool.mirrored if tool else {}
        connection = await self.node.upstreams.get(self.entry, self.bearer)
        params = tuple(self._unknown_params(mirrored))
        self._upstream_call = relay.UpstreamCall(
            self.call, connection, mirrored, self.trace, params, gate, self.responder
        )  # fmt: skip
        return await self._upstream_call.carry_out()

    def cancel(self) -> None:
        """Tell a legacy upstream, if it has seen the call."""
        if self._upstream_call is not None and self.was_sent:
            self.node.upstreams.cancel(self._upstream_call.connection, self._upstream_call.number)

    def lose(self) -> None:
        """Forget the session."""
        if self._upstream_call is not None:
            self.node.upstreams.lose(self.entry, self.bearer, self._upstream_call.connection)

    def _unknown_params(self, known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in self.request.raw:
            if name.startswith(_FORWARDED_PARAMS) and name[len(_FORWARDED_PARAMS) :].decode() not in known:
                yield name.decode(), value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """What a REST API answered, whole: our credential taken out, and of its headers those that pass."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content_type: str
    length: int | None
    body: bytes

    @property
    def end(self) -> CallEnd:
        """How the call ended, for the record."""
        if self.status < HTTPStatus.BAD_REQUEST:
            return CallEnd("success", "", len(self.body))
        return CallEnd("failure", f"http_{self.status}", len(self.body))


@dataclass(slots=True)
class RestForwarding:
    """A call of an operation of a REST API: the request is written from the arguments, whichever way they came."""

    node: Node
    entry: ServedSystem
    tool: str
    arguments: Mapping[str, Any]
    trace: str
    deliver: Callable[[RestAnswer], Awaitable[None]]
    was_sent: bool = False
    _built: Outgoing = field(init=False)
    _authorization: Authorization = field(init=False)

    def problem(self, verdict: Verdict) -> Reason | None:
        """Write the request; say why that cannot be done, or that another definition is approved than was read."""
        operations, listed = self.entry.operations, self.entry.tools.get(self.tool)
        if operations is None or listed is None or listed.version != verdict.tool_version:
            return Reason(Code.TOOL_CHANGED, codes.meaning(Code.TOOL_CHANGED).sentence)
        try:
            self._built = operations.build(self.tool, self.arguments)
        except NotMapped as why:
            return Reason(Code.ARGUMENT_NOT_VALID, why.message)
        credential = self.entry.target.credential
        if credential is not None and credential.header.lower() in map(str.lower, self._built.headers):
            return Reason(Code.ARGUMENT_NOT_VALID, "An argument would be sent in the header of the system's secret.")
        return None

    async def carry_out(self, gate: Gate) -> CallEnd:
        """Send the request and read the whole answer, as large as one may be. It follows no redirect."""
        built = self._built
        http, endpoint, self._authorization = self.node.upstreams.pool(self.entry)

        def gate_and_note() -> None:
            gate()
            self.was_sent = True

        def exchange(sent: Mapping[str, str], take: Take) -> Awaitable[RestAnswer]:
            request = Sent(built.method.value, built.target, sent, built.body)
            return endpoint.send(http, request, take, gate=gate_and_note)

        own = {**built.headers, **headers.ours(self._accepted(), self.trace)}
        request = authorization.Request(built.method.value, endpoint.address(built.target), own, built.body or b"")
        try:
            answer = await self._authorization.send(request, exchange, self._taken)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as why:
            raise egress.Unreachable from why
        await self.deliver(answer)
        return answer.end

    def cancel(self) -> None:
        """The connection closes, which says it."""

    def lose(self) -> None:
        """No request shares anything with the next."""

    async def _taken(self, answer: Answer) -> RestAnswer:
        status = answer.status
        if status in _OUR_FAULT or status < HTTPStatus.OK:
            raise egress.Unreachable(status=status)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise egress.Unreachable("The system compresses its answer, which we do not accept.")
        length = answer.content_length
        is_empty = self._built.method == "HEAD" or status in _NO_BODY
        body = (
            b"" if is_empty else self._clean(answer.content_type, await egress.read(answer, upstream.LARGEST_MESSAGE))
        )
        passed = headers.of_answer({name: self._plain(value) for name, value in answer.headers.items()})
        return RestAnswer(status, passed, answer.content_type, length, body)

    def _accepted(self) -> str:
        """Name what the operation is documented to answer with, first."""
        operations = self.entry.operations
        answers = () if operations is None else operations.operation(self.tool).answers
        return ", ".join((*answers, "*/*;q=0.1"))

    def _clean(self, content_type: str, body: bytes) -> bytes:
        """Take out our own credential, should the system repeat it."""
        if content_type.endswith(_JSON):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                body = self._authorization.removed_from(body)
        return self._authorization.removed_from_octets(body)

    def _plain(self, value: str) -> str:
        return self._authorization.removed_from_octets(value.encode("latin-1", "replace")).decode("latin-1")
