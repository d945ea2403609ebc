"""Which tools a caller is shown: the approved definitions of those that it could call, and nothing of an upstream."""

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
from entitlements.gateway.http import encode
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node

_MOST_NAMED: Final = 10_000
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def at_system(node: Node, entry: ServedSystem, call: PolicyCall, facts: AgentFacts) -> dict[str, bytes]:
    """Return the definitions that this caller is shown at a system, as JSON, in order of the names. Raises Closed.

    Decoys of the caller are among them: the one exception to the rule that the list shows what may be called.
    """
    node.definitions.listed(entry.slug)
    planted, now = await decoys.listed(node.reads(), call.agent, entry.slug), node.now()
    definitions = {decoy.name: decoy.definition for decoy in decoys.visible(call, facts, planted, now)}
    for tool in policy.visible_tools(call, facts, now):
        pinned = entry.tools.get(tool.name)
        if pinned is not None and pinned.version == tool.version and pinned.is_listable:
            definitions[tool.name] = pinned.definition
    return dict(sorted(definitions.items())) if planted else definitions


async def at_all_systems(node: Node, call: PolicyCall) -> dict[str, bytes]:
    """Return the definitions that this caller is shown at all systems. Raises Closed.

    A tool whose name would be longer than the protocol allows is left out; it is there at its system's own address.
    """
    definitions: dict[str, bytes] = {}
    for slug in await all_systems.slugs(node.reads(), call.agent, System.SERVED):
        entry, held = await node.directory.get(slug), await node.snapshots.get(call.key, slug)
        if entry is None or held is None:
            continue
        for tool, definition in (await at_system(node, entry, replace(call, system=slug), held.facts)).items():
            name = all_systems.name(slug, tool)
            if len(name) <= all_systems.LONGEST_NAME:
                definitions[name] = _renamed(definition, name)
    return definitions


@lru_cache(maxsize=_MOST_NAMED)
def _renamed(definition: bytes, name: str) -> bytes:
    """Return a definition with another name; every other member stays as it is, byte for byte."""
    return encode({**_members.decode(definition), "name": name})
