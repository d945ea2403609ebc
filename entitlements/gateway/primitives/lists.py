"""Lists of tools, resources, templates and prompts: what this caller could use, in pages; nothing of an upstream.

The cursor names the last entry of the page before, so that what comes or goes between two pages moves nothing else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from entitlements import addresses
from entitlements.codes import Code
from entitlements.definitions.primitives import Primitive
from entitlements.gateway import tool_list
from entitlements.gateway.access_requests import request_access
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.traces.shown_lists import SHOWN
from entitlements.node.refusals import Refused

LIST_SECONDS: Final = 5
PAGE: Final = 200
"""Entries of a page."""
_MEMBERS: Final[Mapping[Primitive, bytes]] = {
    Primitive.TOOL: b"tools",
    Primitive.RESOURCE: b"resources",
    Primitive.TEMPLATE: b"resourceTemplates",
    Primitive.PROMPT: b"prompts",
}


def of(kind: Primitive) -> Callable[[Exchange], Awaitable[None]]:
    """Return what answers the list of one kind."""

    async def answer(exchange: Exchange) -> None:
        await _answer(exchange, kind)

    return answer


async def _answer(exchange: Exchange, kind: Primitive) -> None:
    """Show the approved definitions of what this caller could use, by name.

    Where there are no tools, a caller that acts for a person is offered to request access.
    """
    after = read_cursor(exchange.call.params["cursor"], kind) if "cursor" in exchange.call.params else ""
    verdict, held = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    assert held is not None  # noqa: S101 - for the type checker: a caller without facts may see nothing
    if exchange.entry.slug == addresses.ALL:
        definitions = await tool_list.at_all_systems(exchange.node, exchange.policy_call, kind)
    else:
        definitions = await tool_list.at_system(exchange.node, exchange.entry, exchange.policy_call, held.facts, kind)
    is_lost = kind is Primitive.TOOL and not definitions
    if is_lost and request_access.is_visible(exchange.bearer, exchange.entry.tools):
        definitions = {request_access.NAME: request_access.DEFINITION}
    if kind is Primitive.TOOL:
        SHOWN.note(exchange.node.recorder, exchange.about, definitions)
    listed, following = page(definitions, after)
    body = b'{"' + _MEMBERS[kind] + b'":[' + b",".join(listed) + b"]"
    if following:
        body += b',"nextCursor":"' + cursor(following, kind) + b'"'
    if exchange.is_modern:
        body += b',"resultType":"complete","cacheScope":"private","ttlMs":%d' % (LIST_SECONDS * 1000)
    await exchange.send(body + b"}")


def page(definitions: Mapping[str, bytes], after: str) -> tuple[list[bytes], str]:
    """Return the definitions of the page behind a name, and the last name where another page follows."""
    names = sorted(name for name in definitions if name > after)
    return [definitions[name] for name in names[:PAGE]], names[PAGE - 1] if len(names) > PAGE else ""


def cursor(name: str, kind: Primitive) -> bytes:
    """Write a cursor of the list of one kind."""
    return base64.urlsafe_b64encode(f"{kind}:{name}".encode())


def read_cursor(text: object, kind: Primitive) -> str:
    """Return the name that a cursor stands for. Raises Refused for what is no cursor of this list."""
    try:
        named = base64.b64decode(text if isinstance(text, str) else "", altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        named = ""
    found, _, name = named.partition(":")
    if found != kind or not name or cursor(name, kind).decode() != text:
        raise Refused(Code.MALFORMED_CALL, "There is no such cursor.")
    return name
