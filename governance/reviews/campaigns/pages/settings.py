"""The settings of a review: its scope, stages, deadlines and spot checks, as they stand."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.errors import Forbidden
from governance.console import doors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.deadlines import deadlines, reminders
from governance.reviews.population import scope_words
from governance.reviews.spot_checks import plan as plan_actions
from governance.reviews.templates import queries as template_queries

from . import header
from .campaigns import find_campaign


@require_safe
@doors.page
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a review covers, who decides, what the deadline does, and its spot checks."""
    campaign = find_campaign(request, slug)
    context = header.context(request, campaign, "settings")
    head: header.ReviewHeader = context["head"]
    if not head.sees_all:
        raise Forbidden
    is_live = campaign.state in (*Campaign.BEFORE, Campaign.State.ACTIVE)
    return render(
        request,
        "console/reviews/campaigns/settings.html",
        context
        | {
            "covers": scope_words.describe(campaign),
            "strategies": template_queries.strategy_rows(campaign),
            "grace_ends": deadlines.grace_ends(campaign),
            "planned_reminders": reminders.planned_reminders(campaign, clock.now()) if is_live else [],
            "may_spot": head.may_run and head.plan is None and plan_actions.may_begin(campaign),
            "may_cancel": head.may_run and campaign.state in (*Campaign.BEFORE, "active", "paused"),
            "over": read.ended_grants(campaign) if campaign.snapshot_at else [],
        },
    )
