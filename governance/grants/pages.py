"""Grants: who may do what, until when; one of them with its whole story."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.grants import actions
from entitlements.grants.models import Grant
from governance.audit_log.queries import events as events_queries
from governance.console import doors, paging
from governance.eligibility import eligibility
from governance.grants import queries as read
from governance.request_changes import renewal
from governance.requests import queries as request_queries
from governance.reviews.usage import queries as usage_queries
from governance.revocations.pages import stop_several as stop_several_pages
from governance.revocations.queries import verification as verification_queries


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List grants; the filters stand in the address."""
    caller = doors.caller(request)
    page = paging.page(request, read.listed(caller, request.GET.dict()), ("-created_at", "-id"))
    context = {
        "page": page,
        "stoppable": stop_several_pages.stoppable(caller, "grant", page.rows),
        "filters": request.GET,
        "states": Grant.State.choices,
        "systems": visibility.systems(caller).order_by("slug"),
        "filtered": any(request.GET.get(name) for name in ("agent", "system", "person", "state", "ending")),
    }
    return render(request, "console/grants/grants.html", context)


@require_safe
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one grant; with `prove`, each of its calls decided now."""
    caller = doors.caller(request)
    grant = doors.find(visibility.grants(caller), pk=pk)
    is_open = grant.ended_at is None
    usage_queries.with_use([grant])
    context = {
        "grant": grant,
        "may_revoke": is_open and doors.may(caller, "grant-revoke", grant),
        "may_suspend": grant.state == Grant.State.ACTIVE and doors.may(caller, "grant-suspend", grant),
        "may_restore": grant.state == Grant.State.SUSPENDED and doors.may(caller, "grant-restore", grant),
        "may_renew": renewal.may_renew(grant)
        and eligibility.may_request_for_others(doors.person(request), grant.agent),
        "lengths": request_queries.lengths(grant.entitlement.longest, grant.expires_at - grant.starts_at),
        "lasts": grant.expires_at - grant.starts_at,
        "timeline": events_queries.about(f"grant:{pk}", request),
        "probes": verification_queries.probe_grant(grant) if "prove" in request.GET else None,
    }
    return render(request, "console/grants/grant.html", context)


def _address(grant: Grant) -> str:
    return f"/grants/{grant.pk}/"


suspend = doors.post(actions.SUSPEND, _address)
restore = doors.post(actions.RESTORE, _address)
