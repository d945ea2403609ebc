"""All systems at one address: what stands for a system there, and which system a call is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from entitlements import addresses
from entitlements import all_systems as tool_names
from entitlements.catalog.models import System
from entitlements.gateway.messages import Call
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.upstream import upstream

ENTRY: Final = ServedSystem(
    addresses.ALL, "All systems", System.DenialShape.TOOL_RESULT, upstream.Target("", None), (), {}, 0.0
)
"""What stands for a system where none is meant yet. It has no tools of its own, and nothing is sent to it."""


async def entry(node: Node, slug: str) -> ServedSystem | None:
    """Return what the gateway serves at an address; None where it serves nothing. Raises Closed."""
    return ENTRY if slug == addresses.ALL else await node.directory.get(slug)


async def called(node: Node, call: Call) -> tuple[ServedSystem, Call]:
    """Return the system that a call is for, and the call as that system knows it. Raises Closed.

    A name that means no tool of a served system stays as it is, at `ENTRY`, where every tool is unknown.
    """
    name = call.params.get("name")
    named = tool_names.split(name) if isinstance(name, str) else None
    found = await node.directory.get(named[0]) if named is not None else None
    if named is None or found is None:
        return ENTRY, call
    return found, replace(call, params={**call.params, "name": named[1]})
