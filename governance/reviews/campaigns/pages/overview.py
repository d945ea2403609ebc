"""The first page of a review: before it begins its preview and launch, then its figures, progress and results."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import clock
from governance.console import doors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.event_triggered import follow_up
from governance.reviews.population import scope_words
from governance.reviews.quality import blast_radius, measures
from governance.reviews.reports.queries import owner
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.spot_checks import spot_checks
from governance.reviews.staging.pages import preview_context

from . import header
from .campaigns import find_campaign
from .header import ReviewHeader

_MOST_DRAWN = 8
"""How many reviewers the first page shows; the page of reviewers shows all of them."""


@require_safe
@doors.page
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how a review goes, and what waits for its owner; before it begins, what it would be."""
    campaign = find_campaign(request, slug)
    context = header.context(request, campaign, "overview")
    head: ReviewHeader = context["head"]
    if campaign.state in Campaign.BEFORE:
        context |= head.launch
        context |= {"covers": scope_words.describe(campaign)}
        context |= preview_context(head.launch.get("seen")) if head.sees_all else {}
    elif campaign.state in Campaign.BEGAN:
        context |= _results(request, campaign, head)
    context |= _spot_checks(campaign, request, head)
    return render(request, "console/reviews/campaigns/overview.html", context)


def _results(request: HttpRequest, campaign: Campaign, head: ReviewHeader) -> dict[str, Any]:
    """Return the figures of a review; to those who see all of it also its plots and measures."""
    seen = owner.figures(campaign, head.parts, head.answered, clock.now())
    if not head.sees_all:
        return {"figures": seen}
    is_asked = "blast" in request.GET or not measures.is_many(campaign)
    first, others = read.reviewers(campaign)
    named = [row for row in first if row["reviewer"]]
    bars = zip(named[:_MOST_DRAWN], plots_queries.loads(named[:_MOST_DRAWN]), strict=True)
    return {
        "figures": seen,
        "tasks": owner.tasks(campaign, seen),
        "reviewers": [{**row, "bar": bar} for row, bar in bars],
        "other_reviewers": max(len(named) - _MOST_DRAWN, 0) + others,
        "burn": plots_queries.burn_down(campaign),
        "proven": plots_queries.remediation(campaign),
        "heat": plots_queries.heat(campaign),
        "measured": measures.known(campaign),
        "blast": blast_radius.changes(campaign) if is_asked else None,
        "may_count_blast": not is_asked,
    }


def _spot_checks(campaign: Campaign, request: HttpRequest, head: ReviewHeader) -> dict[str, Any]:
    """Return the spot checks of a campaign; to a reviewer only of their own decisions."""
    if head.plan is None:
        return {}
    context: dict[str, Any] = {"own_spot": spot_checks.own_agreement(campaign, doors.person(request))}
    if not head.sees_all:
        return context
    disagree = spot_checks.to_follow_up(campaign)
    again = {check.pk for check in disagree if follow_up.may_ask_again(check.item)}
    return context | {"spot": spot_checks.result(campaign), "disagree": disagree, "may_ask": again}
