"""Actions on a campaign: stage, activate, pause, remind, resume, cancel, close."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.api.actions import Performed
from entitlements.errors import Malformed
from governance.console import doors
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import calendar
from governance.reviews.staging import launch as launch_actions
from governance.reviews.staging import preview
from governance.reviews.staging.models import CampaignStaging
from governance.reviews.staging.queries import launch

from .campaigns import find_campaign, permit


def _address(campaign: Campaign) -> str:
    return reverse("review-page", args=[campaign.slug])


stage = doors.post(actions.STAGE, _address)
pause = doors.post(actions.PAUSE, _address)
remind = doors.post(actions.REMIND, _address)
resume = doors.post(actions.RESUME, _address)
cancel = doors.post(actions.CANCEL, _address)


@require_POST
@doors.page
def activate(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin a campaign; a small draft is staged on the way."""
    campaign = find_campaign(request, slug)
    permit(request, "campaign-activate")
    begin(request, campaign, acknowledged="acknowledged" in request.POST, typed=request.POST.get("typed", ""))
    return redirect("review-page", slug)


def begin(
    request: HttpRequest, campaign: Campaign, *, acknowledged: bool, typed: str, reason: str = "", say: bool = True
) -> Performed:
    """Begin a campaign as a person who saw its page, and typed its name where it may suspend; a small draft is staged.

    Raises Malformed without that name, and as `doors.perform`.
    """
    with transaction.atomic():
        if campaign.state == Campaign.State.DRAFT and preview.grants_of(campaign) <= launch_actions.AT_ONCE:
            launch_actions.stage_now(campaign.pk, by=doors.person(request))
            acknowledged = True  # the page of a draft names the unassigned items
        run = CampaignStaging.objects.filter(campaign=campaign).exclude(summary={}).first()
        if run and launch.must_type(preview.Preview.from_json(run.summary)) and typed.strip() != campaign.name:
            raise Malformed(_("Type the name of the review to launch it. It suspends access that stays unanswered."))
        values = {"acknowledged": acknowledged, "reason": reason}
        return doors.perform(request, actions.ACTIVATE, campaign, values, say=say)


@require_safe
@doors.page
def due(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the due date of a review as a calendar file."""
    named = {"Content-Disposition": f'attachment; filename="due-{slug}.ics"'}
    return HttpResponse(calendar.due(find_campaign(request, slug)), content_type=calendar.TYPE, headers=named)


@require_POST
@doors.page
def close(request: HttpRequest, slug: str) -> HttpResponse:
    """Close a campaign."""
    campaign = find_campaign(request, slug)
    permit(request, "campaign-close")
    values = {"reason": doors.reason(request), "without_answer": "without_answer" in request.POST}
    doors.perform(request, actions.CLOSE, campaign, values)
    return redirect("review-page", slug)
