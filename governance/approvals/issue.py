"""The grant that the last approval of a request makes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from audit import clock
from audit.context import Principal
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.eligibility import eligibility, holdings
from governance.requests import requests
from governance.requests.models import AccessRequest


class StoppedSince(DomainError):
    """The access that this would renew was stopped since: deny it, and let it be asked for anew."""

    code, status = "renewed_access_stopped", HTTPStatus.CONFLICT


def issue(request: AccessRequest, grant_id: UUID, *, by: Principal) -> None:
    """Make the grant of a request that everybody approved; what it depends on is checked once more, under locks."""
    people, groups = tuple(request.people.all()), tuple(request.groups.all())
    lines: dict[Tool, dict[str, Any]] = {
        line.tool: line.limits for line in request.lines.filter(kept=True).select_related("tool")
    }
    eligibility.check_in_force(request.agent, request.entitlement, people)
    eligibility.check_tools(lines)
    eligibility.check_two_people(request.agent, (tool.risk for tool in lines))
    now = clock.now()
    place = holdings.GrantTarget(request.agent, request.entitlement, people, groups, request.renews_id)
    terms = grants.Terms(
        lines,
        starts_at=now,
        expires_at=now + request.lasts,
        people=people,
        groups=groups,
        request_id=request.pk,
        extra_links=(f"request:{request.pk}",),
        grant_id=grant_id,
        beside=holdings.distinction(place, lines),
    )
    _take_over(request, by=by)
    grants.issue(request.agent, request.entitlement, terms, by=by, reason=request.reason)
    requests.save(request, state=AccessRequest.State.APPROVED, decided_at=now, grant_id=grant_id)


def _take_over(request: AccessRequest, *, by: Principal) -> None:
    """End the grant that this one renews, if it has not ended by itself. Raises StoppedSince."""
    old = Grant.objects.filter(pk=request.renews_id).first() if request.renews_id else None
    if old is None or old.state == Grant.State.EXPIRED:
        return
    if old.state != Grant.State.ACTIVE:
        raise StoppedSince
    grants.revoke(old.pk, by=by, reason=f"Renewed by request {request.pk}.")
