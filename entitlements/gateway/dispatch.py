"""How an allowed call reaches its system: as a tools/call of an MCP server here, of a REST API in `rest.dispatch`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import AccountAuthorization
from entitlements.decisions.verdicts import Reason, Verdict
from entitlements.gateway import relay
from entitlements.gateway.budgets.measure import Measure, unmeasured
from entitlements.gateway.conversation import log_level
from entitlements.gateway.conversation.input_requests import InputRequests
from entitlements.gateway.http import Request, Stream
from entitlements.gateway.messages import Call
from entitlements.gateway.relay import CallEnd, InputRequired
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.isolation.isolation import NotForwarded
from entitlements.node.node import Node
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.node.upstreams import Connection
from entitlements.traces.trace_context import TraceContext
from entitlements.upstream import upstream

type Gate = Callable[[], None]

_FORWARDED_PARAMS: Final = b"mcp-param-"


class Forwarding(Protocol):
    """One call on its way."""

    account: AccountAuthorization | None
    """What authorizes it, where the system is called with accounts of people."""
    measure: Measure
    """Looks at what is about to be passed on; its refusal keeps it back."""

    @property
    def was_sent(self) -> bool:
        """Whether the system may have seen the call."""

    def problem(self, verdict: Verdict) -> Reason | None:
        """Say why an allowed call cannot be sent as it is; asked before the decision is recorded."""

    async def carry_out(self, gate: Gate) -> CallEnd | InputRequired:
        """Send the call and answer, or say what is asked for first.

        Raises what the gate raises, Unreachable, ForbiddenAddress, Closed, SessionLost, InputMissing. The gate is
        called synchronously before the first byte.
        """

    async def ask(self, required: InputRequired) -> float:
        """Have the client asked, so that the next try takes its answers along. Raises InputMissing, TooLarge, Closed.

        Returns until when the token of its last answer is good, in epoch seconds.
        """

    def cancel(self) -> None:
        """Tell the system that the call is given up."""

    def lose(self) -> None:
        """Do not use the connection again."""


@dataclass(slots=True)
class McpForwarding:
    """A request to an MCP server: a call of a tool, or another method that is decided as one."""

    node: Node
    entry: ServedSystem
    bearer: Bearer
    request: Request
    call: Call
    trace: TraceContext
    responder: Stream
    account: AccountAuthorization | None = None
    beside: relay.Hears | None = None
    offers: Offers = NOTHING
    measure: Measure = unmeasured
    input_requests: InputRequests | None = None
    results: relay.Results = relay.AS_THEY_ARE
    _upstream_call: relay.UpstreamCall | None = None
    _input: dict[str, Any] = field(default_factory=dict)
    _has_asked: bool = False

    @property
    def was_sent(self) -> bool:
        """Whether the last try was sent, or one before that the system answered with questions."""
        return self._has_asked or (self._upstream_call is not None and self._upstream_call.was_sent)

    def problem(self, verdict: Verdict) -> Reason | None:  # noqa: ARG002 - as the protocol says it
        """Every call that is allowed can be sent."""
        return None

    async def carry_out(self, gate: Gate) -> CallEnd | InputRequired:
        """Send it over the conversation with this caller's upstream, with the input that was asked for last."""
        tool = self.entry.tools.get(self.call.params["name"]) if self.call.method == "tools/call" else None
        mirrored = tool.mirrored if tool else {}
        marks = await self.node.secrets.current()
        connection = await self.node.upstreams.get(
            self.entry, self.bearer, self.node.feed.position, self.account, self.offers
        )
        if self.call.is_modern and not connection.conversation.is_modern and "requestState" in self.call.params:
            raise NotForwarded(Code.REQUEST_STATE_INVALID)  # no legacy system makes any, and no call of ours waits
        params = tuple(self._unknown_params(mirrored))
        self._upstream_call = relay.UpstreamCall(
            self.call, connection, mirrored, self.trace, params, gate, self.responder, marks,
            partial(self.node.definitions.changed, self.entry.slug), self.measure, self.beside,
            more_params=self._input, more_meta=await self._envelope(connection), results=self.results,
        )  # fmt: skip
        return await self._upstream_call.carry_out()

    async def ask(self, required: InputRequired) -> float:
        """Have the client asked for input, which the next try takes along. Raises InputMissing, TooLarge, Closed.

        Returns until when the token of its last answer is good, in epoch seconds.
        """
        self._has_asked = True
        if self.input_requests is None:
            raise relay.InputMissing
        self._input, token_until = await self.input_requests.ask(required, self._say)
        return token_until

    async def _say(self, message: bytes) -> None:
        self.measure(len(message), None)
        await self.responder.event(message)

    async def _envelope(self, connection: Connection) -> dict[str, Any]:
        """Return what a legacy client declared once in its session, and a modern system wants with each request."""
        if self.call.is_modern or self.offers.session is None or not connection.conversation.is_modern:
            return {}
        level = await log_level.of(self.node, self.offers.session)
        declared = {upstream.META_CAPABILITIES: self.offers.capabilities}
        return declared if level is None else {**declared, upstream.META_LOG_LEVEL: level}

    def cancel(self) -> None:
        """Tell a legacy upstream, if it has seen the call."""
        if self._upstream_call is not None and self.was_sent:
            self.node.upstreams.cancel(self._upstream_call.connection, self._upstream_call.number)

    def lose(self) -> None:
        """Forget the session."""
        if self._upstream_call is not None:
            self.node.upstreams.lose(self.entry, self.bearer, self._upstream_call.connection, self.offers.session)

    def _unknown_params(self, known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in self.request.raw:
            if name.startswith(_FORWARDED_PARAMS) and name[len(_FORWARDED_PARAMS) :].decode() not in known:
                yield name.decode(), value.decode("latin-1")
