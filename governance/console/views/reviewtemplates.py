"""Templates of reviews: what recurs, started by hand or stopped; and a review with the criteria of another."""

from __future__ import annotations

from datetime import UTC, datetime, time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.errors import Malformed
from governance.console import doors
from governance.models import CampaignTemplate
from governance.reviews import recurring

from .reviews import found, may, permit


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List templates with what recurs next."""
    permit(request, "campaign-templates", "GET")
    rows = CampaignTemplate.objects.select_related("owner").order_by("stopped_at", "slug")
    told = {"templates": rows, "may_run": may(request, "campaign-template-start")}
    return render(request, "console/reviews/templates.html", told)


@require_POST
@doors.page
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft a review from a template."""
    doors.about(request, f"template:{slug}")
    permit(request, "campaign-template-start")
    made = recurring.start(slug, by=doors.person(request))
    return redirect(f"/reviews/{made.slug}/")


@require_POST
@doors.page
def stop(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop a template."""
    doors.about(request, f"template:{slug}")
    permit(request, "campaign-template-stop")
    recurring.stop(slug, by=doors.person(request))
    doors.done(request, _("The template makes nothing any more."))
    return redirect("/reviews/templates/")


@require_POST
@doors.page
def duplicate(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft a review with the criteria of another."""
    campaign = found(request, slug)
    permit(request, "campaign-duplicate")
    name = request.POST.get("name", "").strip()[:200]
    try:
        day = parse_date(request.POST.get("due", ""))
    except ValueError:
        day = None
    if not slugify(name) or day is None:
        raise Malformed(_("Say how it is called and when it is due."))
    due = datetime.combine(day, time.max, UTC)
    made = recurring.duplicate(campaign, slugify(name)[:64], name=name, due_at=due, by=doors.person(request))
    return redirect(f"/reviews/{made.slug}/")
