"""One grant: who may do what, until when, and its timeline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.errors import DomainError
from entitlements.grants import actions, grants
from entitlements.grants.models import Grant
from entitlements.revocation import sample_calls
from governance.audit_log.queries import events as events_queries
from governance.budgets import pages as budget_pages
from governance.console import doors
from governance.console.limits import narrowing_fields
from governance.eligibility import eligibility
from governance.grants import actions as grant_actions
from governance.grants import narrow as narrow_actions
from governance.grants import queries as read
from governance.request_changes import renewal
from governance.requests import queries as request_queries
from governance.reviews.usage import queries as usage_queries


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
        "may_narrow": is_open and doors.may(caller, "grant-narrow", grant),
        "may_replay": is_open and doors.may(caller, "decisions-what-if", None),
        "may_restore": grant.state == Grant.State.SUSPENDED and doors.may(caller, "grant-restore", grant),
        "may_renew": renewal.may_renew(grant)
        and eligibility.may_request_for_others(doors.person(request), grant.agent),
        "lengths": request_queries.lengths(grant.entitlement.longest, grant.expires_at - grant.starts_at),
        "lasts": grant.expires_at - grant.starts_at,
        "ticket": read.ticket_of(grant),
        "timeline": events_queries.about(f"grant:{pk}", request),
        **budget_pages.panel(caller, grant),
        "probes": sample_calls.decide_grant(grant) if "prove" in request.GET else None,
    }
    return render(request, "console/grants/grant.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def narrow(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what a grant gives as a form, and take away what is unticked, tightened or shortened there."""
    grant: Grant = doors.find_subject(request, actions.GRANT, pk)
    doors.permit(request, "grant-narrow", grant)
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            doors.perform(request, grant_actions.NARROW, grant, _narrowing(request, grant))
        except DomainError as refusal:
            doors.record(request, refusal)
            problem, grant = refusal, doors.find_subject(request, actions.GRANT, pk)
        else:
            return redirect("grant-page", pk)
    elif grant.ended_at is not None:
        raise grants.AlreadyEnded
    data = request.POST if request.method == "POST" else None
    context = {"grant": grant, "problem": problem, **narrowing_fields.shown(given(grant), data)}
    return render(request, "console/grants/narrow.html", context, status=problem.status if problem else 200)


def _narrowing(request: HttpRequest, grant: Grant) -> dict[str, Any]:
    """Read what is kept, why, and the version that was shown."""
    return {
        "narrow": narrowing_fields.read(given(grant).fields(), request.POST.getlist),
        "reason": doors.reason(request),
        "version": doors.number(request.POST.get("version", "")),
    }


def given(grant: Grant) -> narrowing_fields.Given:
    """Return what a grant still gives: its tools with their limits, and for how long from now."""
    lines = sorted(grant.lines.select_related("tool__approved"), key=lambda line: line.tool.name)
    return narrowing_fields.Given([(line.tool, line.limits) for line in lines], narrow_actions.time_left(grant))


def _address(grant: Grant) -> str:
    return reverse("grant-page", args=[grant.pk])


suspend = doors.post(actions.SUSPEND, _address)
restore = doors.post(actions.RESTORE, _address)
