"""One call on its way: our own re-serialisation out, the upstream's answer back as it arrives.

What the upstream says is data. Its answer is taken apart just enough to give it the client's own request id and the
form of the client's era, to leave out what only concerns the two of us, and to see that our credential is not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from entitlements.codes import Code
from entitlements.definition_watch.listener import LIST_CHANGED
from entitlements.gateway import answers
from entitlements.gateway.budgets.measure import Measure, unmeasured
from entitlements.gateway.http import JSON, LARGEST_BODY, NO_STORE, Answer, Stream, encode
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.messages import Call
from entitlements.gateway.primitives import cache_scope
from entitlements.node.refusals import Refused
from entitlements.node.upstreams import Connection
from entitlements.secret_scan.marks import Marks
from entitlements.traces.trace_context import TraceContext
from entitlements.upstream import egress, mcp_headers, resumed_answers, upstream
from entitlements.upstream.endpoint import Answer as UpstreamAnswer

_PASSED: Final = frozenset({"notifications/progress", "notifications/message"})
_RETRY: Final = ("inputResponses", "requestState")
_ASKS_IN: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
"""The methods to which a system of 2026 may answer that it needs input first (MCP 2026-07-28, MRTR)."""
_FORWARDED: Final[Mapping[str, tuple[str, ...]]] = {
    "tools/call": ("name", "arguments", "task"),
    "tasks/get": ("taskId",),
    "tasks/result": ("taskId",),
    "tasks/update": ("taskId", "inputResponses"),
    "tasks/cancel": ("taskId",),
    "resources/read": ("uri",),
    "resources/subscribe": ("uri",),
    "resources/unsubscribe": ("uri",),
    "prompts/get": ("name", "arguments"),
    "completion/complete": ("ref", "argument", "context"),
}
"""Which params of a method travel on."""
_STATUS: Final = {-32700: 400, -32600: 400, -32602: 400, -32020: 400, -32021: 400, -32022: 400, -32601: 404}
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})


class _UpstreamMessage(msgspec.Struct):
    """A message from the upstream, taken apart no further than needed."""

    id: msgspec.Raw = msgspec.Raw(b"")
    method: str = ""
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _ResultStatus(msgspec.Struct):
    isError: bool = False  # noqa: N815 - the protocol's name
    resultType: str = ""  # noqa: N815


class InputRequest(msgspec.Struct):
    """One question to a client."""

    method: str
    params: dict[str, Any] = {}


class _Questions(msgspec.Struct):
    inputRequests: dict[str, InputRequest] | None = None  # noqa: N815


class _State(msgspec.Struct):
    requestState: str | None = None  # noqa: N815


class _UpstreamError(msgspec.Struct):
    code: int = 0


_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)
"""What reading an answer raises that is no JSON, is nested without end, or is not even text."""
_read_message: Final = msgspec.json.Decoder(_UpstreamMessage)
_read_result_status: Final = msgspec.json.Decoder(_ResultStatus)
_read_error: Final = msgspec.json.Decoder(_UpstreamError)
_read_questions: Final = msgspec.json.Decoder(_Questions)
_read_state: Final = msgspec.json.Decoder(_State)
_any: Final = msgspec.json.Decoder()


class SessionLost(Exception):
    """The upstream no longer knows the legacy session; the call was not carried out."""


class InputMissing(Refused):
    """The system asks for input that it does not get: the call ends without a result."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(Code.INPUT_MISSING, sentence, status=HTTPStatus.OK)


@dataclass(frozen=True, slots=True)
class InputRequired:
    """What a system asks a legacy client for before it answers: questions by name, and a state that goes back."""

    questions: Mapping[str, InputRequest]
    state: str | None


class Hears(Protocol):
    """Takes what an upstream says beside its answer."""

    async def hear(self, text: bytes, connection: Connection, meta: Mapping[str, Any]) -> bytes | None:
        """Return what the client is to hear of it; `meta` is that of the client's request. Raises Closed."""


class Results(Protocol):
    """Reads the result of a request before its client does."""

    async def shown(self, result: bytes, connection: Connection) -> bytes:
        """Return what the client gets of it. Raises Unreachable for what must not be there, Closed."""

    def structured(self, result: bytes) -> object:
        """Return the structured content of what is shown; None where it has none."""


class _AsTheyAre:
    async def shown(self, result: bytes, connection: Connection) -> bytes:  # noqa: ARG002 - as the protocol says it
        return result

    def structured(self, result: bytes) -> object:
        return _any.decode(result).get("structuredContent", {})


AS_THEY_ARE: Final = _AsTheyAre()


@dataclass(slots=True)
class CallEnd:
    """How a call ended, for the record: `code` is empty for a result, even one that says isError.

    `is_away` says that the system answered that it is not there.
    """

    outcome: str
    code: str
    size: int = 0
    is_away: bool = False


@dataclass(slots=True)
class UpstreamCall:
    """A call that was allowed and recorded, and everything needed to carry it out."""

    call: Call
    connection: Connection
    mirrored: Mapping[str, mcp_headers.Path]
    trace: TraceContext
    params_headers: tuple[tuple[str, str], ...]
    gate: Callable[[], None]
    responder: Stream
    marks: Marks
    tools_changed: Callable[[], None]
    measure: Measure = unmeasured
    beside: Hears | None = None
    more_params: dict[str, Any] = field(default_factory=dict)
    """What goes with the call of a legacy client at a modern system: input that was asked for."""
    more_meta: dict[str, Any] = field(default_factory=dict)
    """As `more_params`, of `_meta`: what its session declared once."""
    results: Results = AS_THEY_ARE
    number: int = 0
    was_sent: bool = False
    _progress: upstream.Progress = field(default_factory=upstream.Progress)

    async def carry_out(self) -> CallEnd | InputRequired:
        """Send the call and pass the answer on, or return what is asked for first.

        Raises what the gate raises, Unreachable, SessionLost, InputMissing, SecretInAnswer.
        """
        conversation = self.connection.conversation
        self.number = next(self.connection.numbers)
        method = self.call.method
        params = forwarded(self.call, conversation, self.trace) | self.more_params
        params["_meta"] |= self.more_meta
        body = conversation.body(self.number, method, params)
        headers = conversation.headers(method, params.get(mcp_headers.NAMED_BY.get(method, "")))
        headers |= self.trace.headers()
        if conversation.is_modern:
            self._mirror(headers, params)
        try:
            async with asyncio.timeout(self.connection.http.timeout.total):
                return await self._exchanged(headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError, *_UNREADABLE) as why:
            raise egress.Unreachable from why

    async def _exchanged(self, headers: Mapping[str, str], body: bytes) -> CallEnd | InputRequired:
        """Send it and read the answer, from as many streams as a legacy upstream needs for it."""
        conversation, http = self.connection.conversation, self.connection.http
        try:
            ended = await conversation.post(http, headers, body, self._pass_on, gate=self._pass)
        except (aiohttp.ClientError, OSError):
            if not self._may_resume:
                raise
            ended = None
        else:
            if ended is None:
                await self.responder.pause(self._progress.again)
        if ended is not None:
            return ended
        return await resumed_answers.finish(conversation, http, self._progress, self._take, self._closed)

    @property
    def _may_resume(self) -> bool:
        return bool(self._progress.last_id) and not self.connection.conversation.is_modern

    async def _closed(self, progress: upstream.Progress) -> None:
        """Let the client of this call come again as well: the system has closed its stream and goes on."""
        await self.responder.pause(progress.again)

    def _pass(self) -> None:
        self.gate()
        self.was_sent = True

    def _mirror(self, headers: dict[str, str], params: Mapping[str, Any]) -> None:
        headers.update(self.params_headers)
        for token, path in self.mirrored.items():
            value = mcp_headers.rendered(params.get("arguments") or {}, path)
            if value is not None:
                headers[f"Mcp-Param-{token}"] = mcp_headers.encode(value)

    async def _pass_on(self, answer: UpstreamAnswer) -> CallEnd | InputRequired | None:
        status = answer.status
        if status == HTTPStatus.NOT_FOUND and self.connection.conversation.session:
            raise SessionLost
        if status in _REFUSED or status // 100 in (3, 5):
            raise egress.Unreachable(status=status)
        ended: CallEnd | InputRequired | None = await upstream.first(answer, self._take, progress=self._progress)
        if ended is None and not self._may_resume:
            raise egress.Unreachable("The system ended its answer too early.", status=status)
        return ended

    async def _take(self, text: bytes) -> CallEnd | InputRequired | None:
        message = _read_message.decode(text)
        if not message.method and bytes(message.id) == str(self.number).encode():
            return await self._last(message)
        if not message.method:
            return None
        if message.method == LIST_CHANGED:
            self.tools_changed()
        if self.beside is not None:
            said = await self.beside.hear(self._clean(text), self.connection, self.call.meta)
            if said is not None:
                self.measure(len(said), None)
                await self.responder.event(said)
        elif message.method in _PASSED and not bytes(message.id):
            self.measure(len(text), None)
            await self.responder.event(self._clean(text))
        return None

    async def _last(self, message: _UpstreamMessage) -> CallEnd | InputRequired:
        request_id = self.call.request_id
        if error := bytes(message.error):
            code = _read_error.decode(error).code
            body = answers.error(request_id, self._clean(error, is_last=True))
            status = _STATUS.get(code, HTTPStatus.OK) if self.call.is_modern else HTTPStatus.OK
            self.measure(len(body), lambda: None)
            await self.responder.finish(Answer(status, body))
            return CallEnd("failure", f"jsonrpc_{code}", len(body))
        result = await self.results.shown(self._clean(bytes(message.result), is_last=True), self.connection)
        result_status = _read_result_status.decode(result)
        if not self.call.is_modern and result_status.resultType not in ("", "complete"):
            return self._unfinished(bytes(message.result), result, result_status.resultType)
        shown = self._in_the_clients_era(result, result_status)
        if self.call.is_modern and self.call.method == "resources/read":
            shown = cache_scope.private(shown)
        body = answers.result(request_id, shown)
        self.measure(len(body), lambda: None if result_status.isError else self.results.structured(result))
        await self.responder.finish(Answer(HTTPStatus.OK, body, (JSON, NO_STORE)))
        ended = ("failure", "tool_error") if result_status.isError else ("success", "")
        return CallEnd(*ended, len(body))

    def _in_the_clients_era(self, result: bytes, result_status: _ResultStatus) -> bytes:
        if self.call.is_modern and not result_status.resultType:
            rest = result.strip()[1:].lstrip()
            return b'{"resultType":"complete"' + (b"}" if rest == b"}" else b"," + rest)
        return result

    def _unfinished(self, raw: bytes, result: bytes, kind: str) -> InputRequired:
        """Read what is no result yet. The state stays here, as it is."""
        if kind != "input_required" or self.call.method not in _ASKS_IN:
            raise InputMissing("The system answered with something that this version of the protocol cannot carry.")
        if len(raw) > LARGEST_BODY:
            raise InputMissing("What the system asks for is larger than an answer to it may be.")
        questions, state = _read_questions.decode(result).inputRequests, _read_state.decode(raw).requestState
        if not questions and state is None:
            raise egress.Unreachable("The system asks for nothing.")
        return InputRequired(questions or {}, state)

    def _clean(self, text: bytes, *, is_last: bool = False) -> bytes:
        """Take out what our own requests were authorized with, and line ends, which would end an event.

        Raises SecretInAnswer for a secret of the vault.
        """
        leaks.refuse(self.marks.owners_in_json(text), is_over=is_last)
        text = self.connection.conversation.target.authorization.removed_from(text)
        return encode(_any.decode(text)) if b"\n" in text or b"\r" in text else text


def forwarded(call: Call, conversation: upstream.Conversation, trace: TraceContext) -> dict[str, Any]:
    """Choose what travels on: the params that we know, and of `_meta` all but the envelope of the client's era."""
    names = (*_FORWARDED[call.method], *(_RETRY if call.is_modern and call.method in _ASKS_IN else ()))
    params: dict[str, Any] = {name: call.params[name] for name in names if name in call.params}
    if call.method == "tools/call":
        params.setdefault("arguments", {})
    own = {name: value for name, value in call.meta.items() if not name.startswith("io.modelcontextprotocol/")}
    meta = trace.meta(own)
    if conversation.is_modern:
        params.pop("task", None)  # by which clients ask for tasks that only servers of 2025 make
    if conversation.is_modern and call.is_modern:
        if upstream.META_LOG_LEVEL in call.meta:
            meta[upstream.META_LOG_LEVEL] = call.meta[upstream.META_LOG_LEVEL]
        meta[upstream.META_CAPABILITIES] = call.meta.get(upstream.META_CAPABILITIES, {})
    params["_meta"] = meta
    return params


def arguments_of(call: Call) -> dict[str, Any]:
    """Return the arguments of a tools/call. Raises Refused when name or arguments have the wrong form."""
    arguments = call.params.get("arguments", {})
    if not isinstance(arguments, dict) or not isinstance(call.params.get("name"), str):
        raise Refused(Code.MALFORMED_CALL, "A call names a tool, and its arguments are an object.")
    return arguments
