"""How an allowed call reaches its system: as a tools/call of an MCP server here, of a REST API in `rest.dispatch`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from entitlements.connected_accounts.account_calls import AccountAuthorization
from entitlements.decisions.verdicts import Reason, Verdict
from entitlements.gateway import relay
from entitlements.gateway.budgets.measure import Measure, unmeasured
from entitlements.gateway.conversation.responder import Responder
from entitlements.gateway.http import Request
from entitlements.gateway.messages import Call
from entitlements.gateway.relay import CallEnd
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.traces.trace_context import TraceContext

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

    async def carry_out(self, gate: Gate) -> CallEnd:
        """Send the call and answer. Raises what the gate raises, Unreachable, ForbiddenAddress, Closed, SessionLost.

        The gate is called synchronously before the first byte.
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
    responder: Responder
    account: AccountAuthorization | None = None
    beside: relay.Hears | None = None
    offers: Offers = NOTHING
    measure: Measure = unmeasured
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
        tool = self.entry.tools.get(self.call.params["name"]) if self.call.method == "tools/call" else None
        mirrored = tool.mirrored if tool else {}
        marks = await self.node.secrets.current()
        connection = await self.node.upstreams.get(
            self.entry, self.bearer, self.node.feed.position, self.account, self.offers
        )
        params = tuple(self._unknown_params(mirrored))
        self._upstream_call = relay.UpstreamCall(
            self.call, connection, mirrored, self.trace, params, gate, self.responder, marks,
            partial(self.node.definitions.changed, self.entry.slug), self.measure, self.beside,
        )  # fmt: skip
        return await self._upstream_call.carry_out()

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
