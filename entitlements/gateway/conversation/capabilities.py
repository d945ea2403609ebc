"""What the gateway says it can do, by `initialize` and `server/discover`: one line for each capability."""

from __future__ import annotations

from typing import Any, Final

from entitlements import addresses
from entitlements.definitions import primitives
from entitlements.definitions.task_support import EXTENSION as TASKS
from entitlements.node.directory import ServedSystem

EMA: Final = "io.modelcontextprotocol/enterprise-managed-authorization"
MODERN: Final[dict[str, Any]] = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "extensions": {EMA: {}, TASKS: {}},
}
LEGACY: Final[dict[str, Any]] = {
    **MODERN,
    "extensions": {EMA: {}},
    "logging": {},
    "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}},
}
_APPROVED: Final = ("resources", "prompts", "completions", "tasks")
"""What is there where something that is approved has it."""


def of(entry: ServedSystem, era: dict[str, Any]) -> dict[str, Any]:
    """Return what a client of an era can use at an address: of all that systems may have, what is approved here."""
    if entry.slug == addresses.ALL:
        return era
    had = {primitives.CAPABILITY[primitives.of_name(name)] for name in entry.tools}
    if any(tool.completes for tool in entry.tools.values()):
        had.add("completions")
    if any(tool.tasks.by_caller for tool in entry.tools.values()):
        had.add("tasks")
    found = {name: value for name, value in era.items() if name in had or name not in _APPROVED}
    if not any(tool.tasks.by_system for tool in entry.tools.values()):
        found["extensions"] = {name: value for name, value in era["extensions"].items() if name != TASKS}
    return found
