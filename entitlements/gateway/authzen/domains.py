"""The policy domains as a node reads them: which is in force at a system, and about which system a client asks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entitlements.decisions.reads import Rows
from entitlements.node.node import Node
from entitlements.node.reads import NodeReads
from entitlements.policy_domains import rules
from entitlements.policy_domains.rules import PolicyDomain

MOST_KEPT: Final = 100
_IN_FORCE: Final = """
SELECT y.id, y.status, d.id::text, d.number FROM entitlements_system y
JOIN entitlements_policydomain d ON d.system_id = y.id AND d.replaced_at IS NULL WHERE y.slug = %s
"""
_DOCUMENT: Final = "SELECT d.document::text FROM entitlements_policydomain d WHERE d.id = %s::uuid"
_ASKED_BY: Final = """
SELECT y.id, y.slug FROM entitlements_policydomain d JOIN entitlements_system y ON y.id = d.system_id
WHERE d.replaced_at IS NULL AND d.points @> to_jsonb(%s::text) ORDER BY y.slug LIMIT 1
"""
_read: dict[str, PolicyDomain] = {}
"""Documents that this process has read, by the id of their version: a version is written once."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy domain of a system: its rules, its version, and whether the system is in use."""

    rules: PolicyDomain
    number: int
    is_active: bool


async def at(node: Node, reads: NodeReads, system: str) -> InForce | None:
    """Return the policy domain in force at a system; None where it has none. Raises Closed."""
    rows = await reads.kept(_IN_FORCE, [system], _about)
    if not rows:
        return None
    _, status, key, number = rows[0]
    if (domain := _read.get(key)) is None:
        ((document,),) = await node.snapshots.query(_DOCUMENT, [key])
        domain = rules.read(json.loads(document))
        while len(_read) >= MOST_KEPT:
            del _read[next(iter(_read))]
        _read[key] = domain
    return InForce(domain, number, status == "active")


async def asked_by(reads: NodeReads, client: str) -> str:
    """Return the system about which a client asks without naming it; empty where there is none. Raises Closed."""
    rows = await reads.kept(_ASKED_BY, [client], _about)
    return str(rows[0][1]) if rows else ""


def _about(rows: Rows) -> Iterable[tuple[str, object]]:
    return [("system_id", rows[0][0])]
