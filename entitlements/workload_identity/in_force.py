"""The edge's two reads: which issuer a token claims to be from, and which rules its tokens are held against."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final

from entitlements.decisions.reads import FeedSubject, Reads, Rows
from entitlements.trusted_issuers import issuers, spiffe
from entitlements.trusted_issuers.issuers import ActiveIssuer
from entitlements.trusted_issuers.models import TrustedIssuer

from .platforms import Platform
from .rules import Rule

_RULES: Final = """
SELECT r.id, c.identifier, a.slug, r.platform, r.claims::text, r.ended_at IS NOT NULL, c.id, r.issuer_id
FROM entitlements_workloadrule r
JOIN entitlements_client c ON c.id = r.client_id
JOIN entitlements_agent a ON a.id = c.agent_id
WHERE r.issuer_id = %s AND (r.ended_at IS NULL OR r.ended_at > now() - interval '30 days')
"""
"""A rule that ended lately is still known, so that its workloads are refused by name."""


async def issuer_of(reads: Reads, claims: Mapping[str, Any]) -> ActiveIssuer | None:
    """Return the trusted issuer of workloads that signed a token, if its claims say the truth: `iss`, or trust domain.

    A JWT-SVID need not name its issuer; its keys are those of the trust domain of its subject (JWT-SVID section 4).
    """
    found = await issuers.trusted(reads, claims.get("iss"), TrustedIssuer.Purpose.WORKLOAD)
    if found is None and (domain := spiffe.trust_domain(claims.get("sub"))) is not None:
        found = await issuers.trusted(reads, domain, TrustedIssuer.Purpose.WORKLOAD)
    return found


async def of_issuer(reads: Reads, issuer: ActiveIssuer) -> list[Rule]:
    """Return the rules about an issuer's tokens, with those that ended in the last 30 days."""
    return [_rule(row[:6]) for row in await reads.kept(_RULES, [issuer.pk], _about)]


@functools.lru_cache(maxsize=10_000)
def _rule(row: tuple[Any, ...]) -> Rule:
    """Read a rule's columns; the same ones are read once."""
    pk, client, agent, platform, claims, is_ended = row
    return Rule(pk, client, agent, Platform(platform), json.loads(claims), is_ended)


def _about(rows: Rows) -> list[FeedSubject]:
    about: list[FeedSubject] = [("trusted_issuer_id", rows[0][7])]
    return about + [("client_id", client) for client in sorted({row[6] for row in rows})]
