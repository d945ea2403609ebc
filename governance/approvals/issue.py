"""The grant that the last approval of a request makes."""

from __future__ import annotations

from uuid import UUID

from audit import clock
from audit.context import Principal
from entitlements.grants import grants
from governance.approvals.facts import GrantFacts
from governance.requests import requests
from governance.requests.models import AccessRequest


def issue(facts: GrantFacts, grant_id: UUID, *, by: Principal) -> None:
    """Make the grant of a request that everybody approved, and end the one that it renews. Raises what refuses it."""
    if facts.refusal:
        raise facts.refusal
    request, now = facts.request, clock.now()
    terms = grants.Terms(
        facts.lines,
        starts_at=now,
        expires_at=now + request.lasts,
        people=facts.people,
        groups=facts.groups,
        request_id=request.pk,
        extra_links=(f"request:{request.pk}",),
        grant_id=grant_id,
        beside=facts.beside,
    )
    if facts.renewed:
        grants.revoke(facts.renewed.pk, by=by, reason=f"Renewed by request {request.pk}.")
    grants.issue(request.agent, request.entitlement, terms, by=by, reason=request.reason)
    requests.save(request, state=AccessRequest.State.APPROVED, decided_at=now, grant_id=grant_id)
