"""What a caller is shown: the approved definitions of what it could use, and nothing of an upstream."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import msgspec

from entitlements import all_systems
from entitlements.catalog.models import System
from entitlements.decisions import policy
from entitlements.decisions.snapshot import AgentFacts
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.decoys import decoy_tools as decoys
from entitlements.definitions import primitives
from entitlements.definitions.primitives import Primitive
from entitlements.gateway.http import encode
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node

_MOST_NAMED: Final = 10_000
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def at_system(
    node: Node, entry: ServedSystem, call: PolicyCall, facts: AgentFacts, kind: Primitive
) -> dict[str, bytes]:
    """Return the definitions of a kind that this caller is shown at a system, as JSON, by name. Raises Closed.

    Decoys of the caller are among its tools: the one exception to the rule that a list shows what may be called.
    """
    now, definitions = node.now(), {}
    if kind is Primitive.TOOL:
        node.definitions.listed(entry.slug)
        planted = await decoys.listed(node.reads(), call.agent, entry.slug)
        definitions = {decoy.name: decoy.definition for decoy in decoys.visible(call, facts, planted, now)}
    for tool in policy.visible_tools(call, facts, now):
        pinned = entry.tools.get(tool.name)
        is_current = pinned is not None and pinned.version == tool.version and pinned.is_listable
        if pinned is not None and is_current and primitives.of_name(tool.name) is kind:
            definitions[tool.name] = pinned.definition
    return definitions


def is_visible(node: Node, name: str, call: PolicyCall, facts: AgentFacts) -> bool:
    """Say whether this caller could use the row with a name, with some arguments."""
    return any(tool.name == name for tool in policy.visible_tools(call, facts, node.now()))


async def at_all_systems(node: Node, call: PolicyCall, kind: Primitive) -> dict[str, bytes]:
    """Return the definitions of a kind that this caller is shown at all systems. Raises Closed.

    A tool whose name would be longer than the protocol allows is left out, and so is a resource that several systems
    have; they are there at their systems' own addresses.
    """
    definitions: dict[str, bytes] = {}
    shared: set[str] = set()
    for slug in await all_systems.slugs(node.reads(), call.agent, System.SERVED):
        entry, held = await node.directory.get(slug), await node.snapshots.get(call.key, slug)
        if entry is None or held is None:
            continue
        for tool, definition in (await at_system(node, entry, replace(call, system=slug), held.facts, kind)).items():
            if kind in (Primitive.RESOURCE, Primitive.TEMPLATE):
                shared |= {tool} & definitions.keys()
                definitions[tool] = definition
                continue
            name = all_systems.name(slug, _wire_name(definition) if kind is Primitive.PROMPT else tool)
            if len(name) <= all_systems.LONGEST_NAME:
                definitions[name] = _renamed(definition, name)
    return {name: definition for name, definition in definitions.items() if name not in shared}


def _wire_name(definition: bytes) -> str:
    return str(msgspec.json.decode(_members.decode(definition)["name"]))


@lru_cache(maxsize=_MOST_NAMED)
def _renamed(definition: bytes, name: str) -> bytes:
    """Return a definition with another name; every other member stays as it is, byte for byte."""
    return encode({**_members.decode(definition), "name": name})
