"""What a request of MCP is about in words of AuthZEN: the default mappings of COAZ-MCP (draft 1), as data. Pure.

The draft is of 2025-11-25; what 2026-07-28 added stands beside the method that it came for. A method without a mapping
is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SERVER: Final = "mcp_server"
PASSED: Final = ("ping",)
PASSED_PREFIX: Final = "notifications/"
"""What is passed on without a decision."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The action and the resource of one question."""

    action: str
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class _About:
    type: str
    member: str = ""
    """The member of the params that names the resource; empty where it is the server itself."""


_SERVER: Final = _About(SERVER)
_TASK: Final = _About("task", "taskId")
_RESOURCE: Final = _About("resource", "uri")
_PROMPT: Final = _About("prompt", "name")
_BY_METHOD: Final[Mapping[str, _About]] = {
    "initialize": _SERVER,
    "server/discover": _SERVER,
    "subscriptions/listen": _SERVER,
    "tools/list": _SERVER,
    "resources/list": _SERVER,
    "resources/templates/list": _SERVER,
    "prompts/list": _SERVER,
    "logging/setLevel": _SERVER,
    "tasks/list": _SERVER,
    "tools/call": _About("tool", "name"),
    "resources/read": _RESOURCE,
    "resources/subscribe": _RESOURCE,
    "resources/unsubscribe": _RESOURCE,
    "prompts/get": _PROMPT,
    "tasks/get": _TASK,
    "tasks/result": _TASK,
    "tasks/update": _TASK,
    "tasks/cancel": _TASK,
}
_BY_REF: Final[Mapping[object, _About]] = {"ref/prompt": _PROMPT, "ref/resource": _RESOURCE}


def mapped(method: str, params: Mapping[str, Any], server: str) -> Mapped | None:
    """Return what a request at a server is about; None where nothing maps it, which is a denial."""
    about, named = _BY_METHOD.get(method), params
    if method == "completion/complete" and isinstance(ref := params.get("ref"), Mapping):
        about, named = _BY_REF.get(ref.get("type")), ref
    if about is None:
        return None
    name = named.get(about.member) if about.member else server
    return Mapped(method, about.type, name) if isinstance(name, str) and name else None


def is_passed(method: str) -> bool:
    """Whether a method is passed on without a decision."""
    return method in PASSED or method.startswith(PASSED_PREFIX)
