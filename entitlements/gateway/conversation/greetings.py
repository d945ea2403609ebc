"""What a client is told when it begins: `server/discover` of 2026, `initialize` and `ping` of the era before."""

from __future__ import annotations

from entitlements.gateway import messages
from entitlements.gateway.conversation import capabilities, client_sessions
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.primitives import lists
from entitlements.node.directory import ServedSystem
from entitlements.node.shared import client_offers
from entitlements.upstream import upstream


async def discover(exchange: Exchange) -> None:
    """Say what can be used here, to whom may know of the system."""
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    await exchange.answer(
        {
            "supportedVersions": list(messages.SUPPORTED),
            "capabilities": capabilities.of(exchange.entry, capabilities.MODERN),
            "cacheScope": "private",
            "ttlMs": lists.LIST_SECONDS * 1000,
            "_meta": {"io.modelcontextprotocol/serverInfo": _identity(exchange.entry)},
        }
    )


async def initialize(exchange: Exchange) -> None:
    """Begin a session, and say the same."""
    verdict, held = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    assert held is not None  # noqa: S101 - for the type checker: a caller without facts may see nothing
    requested_version = exchange.call.params.get("protocolVersion")
    version = requested_version if requested_version in upstream.LEGACY else upstream.LEGACY[0]
    name = await client_sessions.begin(
        exchange.node, exchange.bearer, exchange.entry.slug, version, held.facts,
        had_grant=verdict.allowed, capabilities=client_offers.known(exchange.call.params.get("capabilities")),
    )  # fmt: skip
    initialization = {
        "protocolVersion": version,
        "capabilities": capabilities.of(exchange.entry, capabilities.LEGACY),
        "serverInfo": _identity(exchange.entry),
    }
    await exchange.answer(initialization, (b"mcp-session-id", name.encode()))


async def ping(exchange: Exchange) -> None:
    """Say that the gateway is there."""
    await exchange.answer({})


def _identity(entry: ServedSystem) -> dict[str, str]:
    return {"name": f"mandate/{entry.slug}", "title": entry.name, "version": "1"}
