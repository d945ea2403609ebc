"""How a request of an MCP client goes to its server: with an ear for what that says beside its answer."""

from __future__ import annotations

from entitlements.gateway.conversation.responder import Responder
from entitlements.gateway.conversation.server_messages import Beside
from entitlements.gateway.dispatch import McpForwarding
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.messages import Call
from entitlements.node.directory import ServedSystem


def forwarding(exchange: Exchange, entry: ServedSystem, call: Call, responder: Responder) -> McpForwarding:
    """Return the way of a request to a system's own server, over the session that its client has there."""
    beside = Beside(exchange.node, exchange.about, entry, exchange.session)
    return McpForwarding(
        exchange.node, entry, exchange.bearer, exchange.request, call, exchange.about.traced.onward, responder,
        beside=beside, offers=beside.offers,
    )  # fmt: skip
