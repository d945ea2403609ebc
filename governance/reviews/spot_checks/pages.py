"""Pages of spot checks: a person's checks, one check with its evidence, switching on and following up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.errors import DomainError
from governance.console import doors
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions.pages import reasons
from governance.reviews.items import subject_words
from governance.reviews.spot_checks import actions, spot_checks
from governance.reviews.spot_checks.models import SpotCheck
from governance.reviews.workbench.queries import item as item_queries

_MOST = 200


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the person's open spot checks, and those they answered lately."""
    person = doors.person(request)
    answered = spot_checks.visible_to(person).exclude(answered_at=None).order_by("-answered_at")
    context = {"checks": spot_checks.waiting_for(person)[:_MOST], "answered": answered[:20]}
    return render(request, "console/reviews/spot_checks/spot_checks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def check(request: HttpRequest, check: UUID) -> HttpResponse:
    """Show an item with its evidence and without the reviewer's answer, and take the checker's answer."""
    person = doors.person(request)
    spot_check = doors.find(spot_checks.visible_to(person), pk=check)
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            return _answer(request, spot_check)
        except DomainError as refusal:
            doors.record(request, refusal, [f"spot_check:{spot_check.pk}"])
            problem = refusal
    detail = item_queries.read_blind_detail(spot_check.item, person)
    context: dict[str, Any] = {
        "check": spot_check,
        "item": spot_check.item,
        "title": subject_words.title(spot_check.item),
        "detail": detail,
        "row": detail.row,
        "waits": spot_checks.waiting_for(person).filter(pk=spot_check.pk).exists(),
        "left": spot_checks.waiting_for(person).count(),
        "groups": reasons.groups(),
        "given": request.POST,
        "problem": problem,
    }
    return render(
        request, "console/reviews/spot_checks/spot_check.html", context, status=problem.status if problem else 200
    )


def _answer(request: HttpRequest, spot_check: SpotCheck) -> HttpResponse:
    values = {
        "verb": request.POST.get("verb", ""),
        "reason_code": request.POST.get("why", ""),
        "comment": request.POST.get("comment", "").strip()[:2000],
    }
    doors.perform(request, actions.ANSWER, spot_check, values)
    following = spot_checks.waiting_for(doors.person(request)).first()
    return redirect("spot-check", following.pk) if following else redirect("spot-checks")


@require_POST
@doors.page
def switch_on(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch on spot checks for a review."""
    campaign = find_campaign(request, slug)
    share, days = (doors.number(request.POST.get(name, ""), 4) for name in ("share", "days"))
    values = {"share": share, "days": days, "reason": doors.reason(request)}
    doors.perform(request, actions.SWITCH_ON, campaign, values)
    return redirect(f"{reverse('review-page', args=[slug])}#spot-checks")


@require_POST
@doors.page
def follow_up(request: HttpRequest, slug: str, check: UUID) -> HttpResponse:
    """Follow up a check that would have removed more: ask again, or leave it."""
    campaign = find_campaign(request, slug)
    spot_check = doors.find(SpotCheck.objects.select_related("item__campaign"), pk=check, plan=campaign.pk)
    values = {"how": request.POST.get("how", ""), "reason": doors.reason(request)}
    doors.perform(request, actions.FOLLOW_UP, spot_check, values)
    return redirect(f"{reverse('review-page', args=[slug])}#spot-checks")
