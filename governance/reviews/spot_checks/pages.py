"""Spot checks: what one is asked to check, one check with its evidence, and what whoever runs a review does then."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.errors import DomainError
from governance.console import doors
from governance.console.tags import REASONS
from governance.deciders import review_rules
from governance.reviews.campaigns.pages.campaigns import find_campaign, permit
from governance.reviews.campaigns.queries import item as item_queries
from governance.reviews.event_triggered import follow_up as follow_up_actions
from governance.reviews.spot_checks import plan, spot_checks
from governance.reviews.spot_checks.models import SpotCheck

_MOST = 200


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List what the person is asked to check, and what she answered of late."""
    person = doors.person(request)
    answered = spot_checks.visible_to(person).exclude(answered_at=None).order_by("-answered_at")
    told = {"checks": spot_checks.waiting_for(person)[:_MOST], "answered": answered[:20]}
    return render(request, "console/reviews/spot_checks/spot_checks.html", told)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def one(request: HttpRequest, check: UUID) -> HttpResponse:
    """Show an item with its evidence and without its answer, and take what the person would have answered."""
    person = doors.person(request)
    asked = doors.find(spot_checks.visible_to(person), pk=check)
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            return _answered(request, asked)
        except DomainError as refusal:
            doors.record(request, refusal, [f"spot_check:{asked.pk}"])
            problem = refusal
    seen = item_queries.read_blind_detail(asked.item, person)
    told: dict[str, Any] = {
        "check": asked,
        "item": asked.item,
        "detail": seen,
        "row": seen.row,
        "waits": spot_checks.waiting_for(person).filter(pk=asked.pk).exists(),
        "left": spot_checks.waiting_for(person).count(),
        "keep": [(code, REASONS[code]) for code in review_rules.KEEP],
        "drop": [(code, REASONS[code]) for code in review_rules.DROP],
        "abstain": [(code, REASONS[code]) for code in review_rules.ABSTAIN],
        "given": request.POST,
        "problem": problem,
    }
    return render(
        request, "console/reviews/spot_checks/spot_check.html", told, status=problem.status if problem else 200
    )


def _answered(request: HttpRequest, asked: SpotCheck) -> HttpResponse:
    person = doors.person(request)
    spot_checks.answer(
        asked.pk,
        by=person,
        verb=request.POST.get("verb", ""),
        reason_code=request.POST.get("why", ""),
        comment=request.POST.get("comment", "").strip()[:2000],
    )
    following = spot_checks.waiting_for(person).first()
    doors.done(request, _("Your answer is kept. It changes no access."))
    return redirect(f"/spot-checks/{following.pk}/" if following else "/spot-checks/")


@require_POST
@doors.page
def switch_on(request: HttpRequest, slug: str) -> HttpResponse:
    """Let some answers of a review be checked once it ends."""
    campaign = find_campaign(request, slug)
    permit(request, "campaign-spot-checks")
    share, days = (doors.number(request.POST.get(name, ""), 4) for name in ("share", "days"))
    why = doors.reason(request)
    plan.switch_on(campaign.pk, by=doors.person(request), share=share, days=days, reason=why)
    doors.done(request, _("Some answers are checked by somebody else once the review ends."))
    return redirect(f"/reviews/{slug}/#spot-checks")


@require_POST
@doors.page
def follow_up(request: HttpRequest, slug: str, check: UUID) -> HttpResponse:
    """Ask again about what a check would have taken away, or leave it."""
    campaign = find_campaign(request, slug)
    permit(request, "spot-check-follow-up")
    asked = doors.find(SpotCheck.objects.all(), pk=check, plan=campaign.pk)
    how = request.POST.get("how", "")
    follow_up_actions.follow_up(asked.pk, by=doors.person(request), how=how, reason=doors.reason(request))
    again = how == SpotCheck.Followed.ASKED_AGAIN
    doors.done(request, _("Somebody is asked again within minutes.") if again else _("It stays as it is."))
    return redirect(f"/reviews/{slug}/#spot-checks")
