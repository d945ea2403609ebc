"""Resources, prompts and completion at the address of all systems: for which of them a request is.

A prompt carries its system in its name, as a tool does. A URI stays as it is, since what a resource holds names other
URIs: it is for the one system whose resource or template this caller could read by it. Where there are several, a
caller must go to the address of one of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from entitlements import all_systems as prefixed
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.gateway import all_systems, tool_list
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.messages import Call
from entitlements.gateway.primitives import names
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused


async def called(exchange: Exchange) -> tuple[ServedSystem, Call]:
    """Return the system that a request is for, and the request as that system knows it.

    What means nothing at any served system stays as it is, at an entry where everything is unknown.
    Raises Refused where several systems could be meant, Closed.
    """
    call, ref = exchange.call, exchange.call.params.get("ref")
    if call.method == "prompts/get":
        return await all_systems.called(exchange.node, call)
    if isinstance(ref, Mapping) and ref.get("type") == "ref/prompt":
        entry, named = await all_systems.called(exchange.node, replace(call, params=dict(ref)))
        return entry, replace(call, params={**call.params, "ref": named.params})
    found = [entry async for entry in reading(exchange, call.method, call.params)]
    if len(found) > 1:
        slugs = [entry.slug for entry in found]
        message = f"More than one system has the resource: {', '.join(slugs)}. Use the address of one of them."
        raise Refused(Code.MALFORMED_CALL, message, data={"systems": slugs})
    return (found[0] if found else all_systems.ENTRY), call


async def reading(exchange: Exchange, method: str, params: Mapping[str, Any]) -> AsyncIterator[ServedSystem]:
    """Yield the systems at which this caller could read by these params, with some arguments."""
    node, asked = exchange.node, exchange.policy_call
    for slug in await prefixed.slugs(node.reads(), asked.agent, System.SERVED):
        entry, held = await node.directory.get(slug), await node.snapshots.get(asked.key, slug)
        if entry is None or held is None:
            continue
        name, _ = names.called(entry, method, params)
        if name in entry.tools and tool_list.is_visible(node, name, replace(asked, system=slug), held.facts):
            yield entry
