"""Probes of an agent's clients: what the token endpoint decides now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from audit import clock
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.clients import callers
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import AgentFacts, Issuance
from entitlements.grants.models import Grant
from entitlements.words import Flow


def authentication(client_id: str) -> dict[str, Any]:
    """Return whether the token endpoint would still authenticate a client."""
    client = callers.by_id(client_id)
    is_taken = client is not None and client.is_active
    return {"ask": "authentication", "client": client_id, "allowed": is_taken, "holds": not is_taken}


def tokens(agent: Agent, client_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Decide a token request for each client at each system where the agent holds a grant, and at Mandate itself."""
    held = Grant.objects.filter(agent=agent, ended_at=None).order_by("entitlement__system__slug")
    systems = held.values_list("entitlement__system__slug", flat=True).distinct()
    known = {system: facts.load(agent.slug, system, schemas=False) for system in [*systems, addresses.MANDATE]}
    return [
        _token(agent, client, system, agent_facts) for client in client_ids for system, agent_facts in known.items()
    ]


def _token(agent: Agent, client_id: str, system: str, known: AgentFacts | None) -> dict[str, Any]:
    answer = {"ask": "token", "client": client_id, "system": system}
    if known is None:
        return {**answer, "allowed": False, "code": "system_unknown", "holds": True}
    issuance = Issuance(Flow.CLIENT_CREDENTIALS, agent.slug, client_id, None, system, None, 60.0, begins_session=True)
    verdict = policy.may_issue(issuance, known, clock.now().timestamp())
    return {**answer, "allowed": verdict.allowed, "code": str(verdict.code), "holds": not verdict.allowed}
