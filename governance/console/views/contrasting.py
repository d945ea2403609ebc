"""One review set against an earlier one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance import reviews
from governance.console import doors
from governance.console.queries import contrasting as read
from governance.models import Campaign
from governance.reviews import contrasting

from .auditing import readable

_CHOICES = 50


@require_safe
@doors.page
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what came and went since another review, by default the last before it, and what was answered otherwise."""
    now, wanted = readable(request, slug, "comparison"), request.GET.get("with", "")
    then = contrasting.before(now)
    if wanted:
        then = readable(request, wanted, "comparison")
    began = reviews.campaigns_visible_to(doors.person(request)).filter(state__in=Campaign.BEGAN)
    others = began.exclude(pk=now.pk).exclude(kind=Campaign.Kind.MICRO).order_by("-snapshot_at")[:_CHOICES]
    has_items = now.state not in (Campaign.State.DRAFT, Campaign.State.STAGING)
    told = {
        "campaign": now,
        "then": then,
        "others": others,
        "has_items": has_items,
        "seen": read.told(contrasting.contrast(now, then)) if then and has_items else None,
    }
    return render(request, "console/reviews/compare.html", told)
