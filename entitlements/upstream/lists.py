"""What a server lists: its tools, and the resources, templates and prompts that it says it has, from all pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from entitlements.definitions import offers, task_support
from entitlements.definitions.primitives import Primitive

from . import egress
from .egress import Unreachable

_MOST_PAGES: Final = 100
_MOST_TOOLS: Final = 5000
MOST_OTHERS: Final = 1000
"""Resources, templates or prompts of one system that are taken in, of each kind."""
_METHOD_NOT_FOUND: Final = -32601
_OTHERS: Final = (
    ("resources", Primitive.RESOURCE, "resources/list", "resources"),
    ("resources", Primitive.TEMPLATE, "resources/templates/list", "resourceTemplates"),
    ("prompts", Primitive.PROMPT, "prompts/list", "prompts"),
)
"""The capability that names it, what it is, the method that lists it, and the member of the answer that holds it."""

type Ask = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Sends one request and returns its result. Raises Unreachable."""


class PartialList(Unreachable):
    """The system stopped answering in the middle of its lists; what came before is `listed`."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        super().__init__(tools=len(listed))
        self.listed = listed


async def everything(ask: Ask, capabilities: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what a server that was greeted offers: tools by `task_support.noted`, all else as `offers.listed` wraps it.

    A server that names capabilities and no tools has none. Raises PartialList, Unreachable.
    """
    is_without_tools = bool(capabilities.keys() & {"resources", "prompts"}) and "tools" not in capabilities
    listed = [] if is_without_tools else await _tools(ask, capabilities)
    try:
        for capability, kind, method, member in _OTHERS:
            if capability in capabilities:
                listed += await _others(ask, kind, method, member, completes="completions" in capabilities)
    except Unreachable as why:
        if not listed:
            raise
        raise PartialList(listed) from why
    return listed


async def _tools(ask: Ask, capabilities: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    try:
        cursor: object = None
        for _ in range(_MOST_PAGES):
            page = await ask("tools/list", {} if cursor is None else {"cursor": cursor})
            listed += task_support.noted(_listed(page, "tools"), capabilities)
            cursor = page.get("nextCursor")
            if cursor is None:
                return listed
            if len(listed) > _MOST_TOOLS or not isinstance(cursor, str):
                break
    except Unreachable as why:
        if not listed:
            raise
        raise PartialList(listed) from why
    raise egress.AnswerTooLarge("The system lists too many tools.")


async def _others(ask: Ask, kind: Primitive, method: str, member: str, *, completes: bool) -> list[dict[str, Any]]:
    """List one kind; beyond a bearable number, which says so, the rest is left out. Raises Unreachable."""
    found: list[dict[str, Any]] = []
    cursor: object = None
    for _ in range(_MOST_PAGES):
        try:
            page = await ask(method, {} if cursor is None else {"cursor": cursor})
        except Unreachable as why:
            if _is_unknown(why):
                return []
            raise
        found += _listed(page, member)
        cursor = page.get("nextCursor")
        if cursor is None or len(found) > MOST_OTHERS:
            break
    wrapped = [offers.listed(kind, each, completes=completes) for each in found[:MOST_OTHERS]]
    return wrapped if cursor is None and len(found) <= MOST_OTHERS else [*wrapped, offers.omitted(kind, MOST_OTHERS)]


def _listed(page: Mapping[str, Any], member: str) -> list[dict[str, Any]]:
    listed = page.get(member)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Unreachable(f"The system's list of {member} is malformed.")
    return listed


def _is_unknown(why: Unreachable) -> bool:
    """Whether a server answered that it has no such method, whatever its capabilities say."""
    error = why.detail.get("error")
    return isinstance(error, Mapping) and error.get("code") == _METHOD_NOT_FOUND
