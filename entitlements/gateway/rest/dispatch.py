"""A call of an operation of a REST API on its way: one request, written from the arguments, and the whole answer."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from entitlements import codes
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import AccountAuthorization
from entitlements.decisions.verdicts import Reason, Verdict
from entitlements.gateway.budgets.measure import Measure, unmeasured
from entitlements.gateway.dispatch import Gate
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.relay import CallEnd, InputMissing, InputRequired
from entitlements.node.directory import ServedSystem
from entitlements.node.isolation.isolation import AWAY
from entitlements.node.node import Node
from entitlements.rest import headers
from entitlements.rest.build import Outgoing
from entitlements.rest.refusals import NotMapped
from entitlements.secret_scan.marks import Marks
from entitlements.traces.trace_context import TraceContext
from entitlements.upstream import authorization, egress, upstream
from entitlements.upstream.authorization import Authorization
from entitlements.upstream.endpoint import Answer, Sent

JSON: Final = ("/json", "+json")
"""What the media types of JSON end with."""
_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})
_OUR_FAULT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""What a system says of our credential, not of the caller."""

_NO_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode: Final = msgspec.json.Decoder().decode

type Take = Callable[[Answer], Awaitable[RestAnswer]]


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """What a REST API answered, whole: our credential taken out, and of its headers those that pass."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content_type: str
    length: int | None
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON; None where it is not, or not readable."""
        if not self.content_type.endswith(JSON):
            return None
        try:
            return _decode(self.body)
        except _NO_JSON:
            return None

    @property
    def structured(self) -> Any:  # noqa: ANN401 - any JSON value
        """The structured content that the body is as the result of a tool: an object, or one in `result`."""
        value = self.json
        return value if isinstance(value, dict) else {"result": value}

    @property
    def end(self) -> CallEnd:
        """How the call ended, for the record."""
        is_success = self.status < HTTPStatus.BAD_REQUEST
        ended = ("success", "") if is_success else ("failure", f"http_{self.status}")
        return CallEnd(*ended, len(self.body), is_away=self.status in AWAY)


@dataclass(slots=True)
class RestForwarding:
    """A call of an operation of a REST API: the request is written from the arguments, whichever way they came."""

    node: Node
    entry: ServedSystem
    tool: str
    arguments: Mapping[str, Any]
    trace: TraceContext
    deliver: Callable[[RestAnswer], Awaitable[None]]
    was_sent: bool = False
    account: AccountAuthorization | None = None
    measure: Measure = unmeasured
    _built: Outgoing = field(init=False)
    _authorization: Authorization = field(init=False)
    _marks: Marks = field(init=False)

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

    async def ask(self, required: InputRequired) -> float:  # noqa: ARG002 - as the protocol says it
        """A REST API asks for nothing before it answers."""
        raise InputMissing

    async def carry_out(self, gate: Gate) -> CallEnd:
        """Send the request and read the whole answer, as large as one may be. It follows no redirect."""
        built = self._built
        self._marks = await self.node.secrets.current()
        http, endpoint, shared = self.node.upstreams.pool(self.entry)
        self._authorization = self.account or shared

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
        self.measure(len(answer.body), lambda: answer.structured if answer.end.outcome == "success" else None)
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
        body = b"" if is_empty else await egress.read(answer, upstream.LARGEST_MESSAGE)
        leaks.refuse(self._owners(answer, body))
        body = self._clean(answer.content_type, body)
        passed = headers.of_answer({name: self._plain(value) for name, value in answer.headers.items()})
        return RestAnswer(status, passed, answer.content_type, length, body)

    def _accepted(self) -> str:
        """Name what the operation is documented to answer with, first."""
        operations = self.entry.operations
        answers = () if operations is None else operations.operation(self.tool).answers
        return ", ".join((*answers, "*/*;q=0.1"))

    def _owners(self, answer: Answer, body: bytes) -> set[str]:
        """Return whose secrets of the vault stand in the body or in a header."""
        written = [body, *(value.encode("latin-1", "replace") for value in answer.headers.values())]
        owners = {owner for each in written for owner in self._marks.owners(each)}
        if answer.content_type.endswith(JSON):
            with contextlib.suppress(*_NO_JSON):
                owners |= self._marks.owners_in_json(body)
        return owners

    def _clean(self, content_type: str, body: bytes) -> bytes:
        """Take out what our own request was authorized with, should the system repeat it."""
        if content_type.endswith(JSON):
            with contextlib.suppress(*_NO_JSON):
                body = self._authorization.removed_from(body)
        return self._authorization.removed_from_octets(body)

    def _plain(self, value: str) -> str:
        return self._authorization.removed_from_octets(value.encode("latin-1", "replace")).decode("latin-1")
