"""What the gateway says it can do, by `initialize` and `server/discover`: one line for each capability."""

from __future__ import annotations

from typing import Any, Final

from entitlements import addresses
from entitlements.definitions import primitives
from entitlements.node.directory import ServedSystem

EMA: Final = "io.modelcontextprotocol/enterprise-managed-authorization"
MODERN: Final[dict[str, Any]] = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "extensions": {EMA: {}},
}
LEGACY: Final[dict[str, Any]] = {
    **MODERN,
    "logging": {},
}


def of(entry: ServedSystem, era: dict[str, Any]) -> dict[str, Any]:
    """Return what a client of an era can use at an address: of resources, prompts and completion what is approved."""
    if entry.slug == addresses.ALL:
        return era
    had = {primitives.CAPABILITY[primitives.of_name(name)] for name in entry.tools}
    if any(tool.completes for tool in entry.tools.values()):
        had.add("completions")
    return {
        name: value for name, value in era.items() if name in had or name not in ("resources", "prompts", "completions")
    }
