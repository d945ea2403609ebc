"""The page that compares two reviews."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.console import doors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence.pages.audit import readable
from governance.reviews.items import visibility
from governance.reviews.quality import comparison
from governance.reviews.reports.queries import comparison as read

_CHOICES = 50


@require_safe
@doors.page
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Compare a review with another one, by default the one before it."""
    now, wanted = readable(request, slug, "comparison"), request.GET.get("with", "")
    then = comparison.previous(now)
    if wanted:
        then = readable(request, wanted, "comparison")
    began = visibility.campaigns_visible_to(doors.person(request)).filter(state__in=Campaign.BEGAN)
    others = began.exclude(pk=now.pk).exclude(kind=Campaign.Kind.MICRO).order_by("-snapshot_at")[:_CHOICES]
    has_items = now.state not in (Campaign.State.DRAFT, Campaign.State.STAGING)
    context = {
        "campaign": now,
        "then": then,
        "others": others,
        "has_items": has_items,
        "seen": read.context(comparison.compare(now, then)) if then and has_items else None,
    }
    return render(request, "console/reviews/reports/compare.html", context)
